package tocsin.flink;

import java.util.Map;
import java.util.Properties;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.KafkaSinkBuilder;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.types.Row;

/** What {@code streams/flink/job.py} makes of topics; {@code client}: settings in the names of Kafka's clients. */
public final class Topics {

    private Topics() {}

    /**
     * Reads a topic from its beginning, or from where the state says.
     *
     * @param tasks the key of each partition's task
     * @param fullBytes at which a pack leaves
     * @param gatherMs for how long records wait for others
     * @param type of (key, pack)
     */
    public static DataStream<Row> packs(
            StreamExecutionEnvironment env,
            String topic,
            Map<String, String> client,
            Map<Integer, Integer> tasks,
            int fullBytes,
            long gatherMs,
            TypeInformation<Row> type,
            String name,
            String uid) {
        KafkaSource<ConsumerRecord<byte[], byte[]>> source =
                KafkaSource.<ConsumerRecord<byte[], byte[]>>builder()
                        .setTopics(topic)
                        .setStartingOffsets(OffsetsInitializer.earliest())
                        .setProperties(properties(client))
                        .setDeserializer(new RawRecords())
                        .build();
        return env.fromSource(source, WatermarkStrategy.noWatermarks(), name)
                .uid(uid)
                .transform("packs", type, new PackOperator(tasks, fullBytes, gatherMs))
                .uid(uid + " packs");
    }

    /**
     * Writes rows as {@link RowMessages} has them.
     *
     * @param transactions what the ids of transactions begin with, if it is written exactly once; "" for at least once
     */
    public static void write(
            DataStream<Row> rows, String topic, Map<String, String> client, String transactions, String name, String uid) {
        KafkaSinkBuilder<Row> sink =
                KafkaSink.<Row>builder()
                        .setKafkaProducerConfig(properties(client))
                        .setRecordSerializer(new RowMessages(topic));
        if (transactions.isEmpty()) {
            sink.setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE);
        } else {
            sink.setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE).setTransactionalIdPrefix(transactions);
        }
        rows.sinkTo(sink.build()).name(name).uid(uid);
    }

    private static Properties properties(Map<String, String> given) {
        Properties found = new Properties();
        found.putAll(given);
        return found;
    }
}
