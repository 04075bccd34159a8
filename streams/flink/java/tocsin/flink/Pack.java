package tocsin.flink;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * Consecutive records of a partition on their way to Python, which reads them in {@code streams/flink/packs.py}.
 *
 * <p>Little-endian: a mark, the number of records, the bytes of all values, four bytes of nothing, then per record its
 * offset and its time (ms since the epoch, -1 without one), the lengths of its value and key (-1 without one), then the
 * values, each ended by a newline, and the keys.
 */
final class Pack {

    /** "TOC1": another layout, another mark. */
    static final int MARK = 0x31434f54;

    private static final int HEAD_BYTES = 16;
    private static final int RECORD_BYTES = 24;
    private static final int FIRST_RECORDS = 256;
    private static final int FIRST_BYTES = 4 << 10;
    /** Room that a pack keeps when it has left: a reader may have a thousand partitions. */
    private static final int KEPT_BYTES = 256 << 10;

    private int count;
    private long[] offsets = new long[FIRST_RECORDS];
    private long[] stamps = new long[FIRST_RECORDS];
    private int[] valueLengths = new int[FIRST_RECORDS];
    private int[] keyLengths = new int[FIRST_RECORDS];
    private final Bytes values = new Bytes();
    private final Bytes keys = new Bytes();

    boolean isEmpty() {
        return count == 0;
    }

    /** Gives the bytes that it will have. */
    int size() {
        return HEAD_BYTES + RECORD_BYTES * count + values.length + keys.length;
    }

    void add(ConsumerRecord<byte[], byte[]> record) {
        if (count == offsets.length) {
            resize(2 * count);
        }
        offsets[count] = record.offset();
        stamps[count] = record.timestamp();
        valueLengths[count] = values.add(record.value());
        values.end();
        keyLengths[count] = keys.add(record.key());
        count++;
    }

    /** Gives what was added, and begins anew. */
    byte[] take() {
        ByteBuffer written = ByteBuffer.allocate(size()).order(ByteOrder.LITTLE_ENDIAN);
        written.putInt(MARK).putInt(count).putInt(values.length).putInt(0);
        written.asLongBuffer().put(offsets, 0, count).put(stamps, 0, count);
        written.position(written.position() + 2 * Long.BYTES * count);
        written.asIntBuffer().put(valueLengths, 0, count).put(keyLengths, 0, count);
        written.position(written.position() + 2 * Integer.BYTES * count);
        written.put(values.data, 0, values.length).put(keys.data, 0, keys.length);
        clear();
        return written.array();
    }

    private void clear() {
        count = 0;
        values.clear();
        keys.clear();
        if (offsets.length > KEPT_BYTES / RECORD_BYTES) {
            resize(FIRST_RECORDS);
        }
    }

    private void resize(int room) {
        offsets = Arrays.copyOf(offsets, room);
        stamps = Arrays.copyOf(stamps, room);
        valueLengths = Arrays.copyOf(valueLengths, room);
        keyLengths = Arrays.copyOf(keyLengths, room);
    }

    private static final class Bytes {

        private byte[] data = new byte[FIRST_BYTES];
        private int length;

        /** Adds bytes, or nothing; gives how many, -1 for nothing. */
        private int add(byte[] more) {
            if (more == null) {
                return -1;
            }
            ensure(more.length);
            System.arraycopy(more, 0, data, length, more.length);
            length += more.length;
            return more.length;
        }

        private void end() {
            ensure(1);
            data[length++] = '\n';
        }

        /** Keeps its room, unless there is much of it. */
        private void clear() {
            length = 0;
            if (data.length > KEPT_BYTES) {
                data = new byte[FIRST_BYTES];
            }
        }

        private void ensure(int more) {
            if (length + more > data.length) {
                data = Arrays.copyOf(data, Math.max(2 * data.length, length + more));
            }
        }
    }
}
