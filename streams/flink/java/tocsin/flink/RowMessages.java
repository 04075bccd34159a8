package tocsin.flink;

import java.util.Map;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.flink.types.Row;

/** Writes rows of a value, or of key, value and headers. */
final class RowMessages implements KafkaRecordSerializationSchema<Row> {

    private static final long serialVersionUID = 1L;

    private final String topic;

    RowMessages(String topic) {
        this.topic = topic;
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(Row row, KafkaSinkContext context, Long timestamp) {
        if (row.getArity() == 1) {
            return new ProducerRecord<>(topic, row.<byte[]>getFieldAs(0));
        }
        ProducerRecord<byte[], byte[]> message =
                new ProducerRecord<>(topic, row.<byte[]>getFieldAs(0), row.<byte[]>getFieldAs(1));
        row.<Map<String, byte[]>>getFieldAs(2).forEach(message.headers()::add);
        return message;
    }
}
