package tocsin.flink;

import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.record.TimestampType;

/** Packs what test_java_packs.py says, twice in the same pack; writes the second. */
public final class WritePack {

    private WritePack() {}

    public static void main(String[] words) throws java.io.IOException {
        Pack pack = new Pack();
        fill(pack);
        byte[] first = pack.take();
        if (!pack.isEmpty()) {
            throw new IllegalStateException("something stayed");
        }
        fill(pack);
        if (pack.size() != first.length) {
            throw new IllegalStateException(pack.size() + " is not " + first.length);
        }
        System.out.write(pack.take());
        System.out.flush();
    }

    private static void fill(Pack pack) {
        pack.add(record(5, 1000, "a", "one"));
        pack.add(record(6, -1, null, null));
        pack.add(record(9, 1002, "", ""));
        pack.add(record(10, 1003, "\u00e9", "t\nwo"));
        pack.add(record(11, 1004, "b", "x".repeat(2 << 20)));
        for (int at = 0; at < 20_000; at++) {
            pack.add(record(12 + at, 1005, "k" + at, "v" + at));
        }
    }

    private static ConsumerRecord<byte[], byte[]> record(long offset, long stamp, String key, String value) {
        return new ConsumerRecord<>(
                "t", 0, offset, stamp, TimestampType.CREATE_TIME, 0, 0, bytes(key), bytes(value), new RecordHeaders(), Optional.empty());
    }

    private static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }
}
