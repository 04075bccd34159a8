package tocsin.flink;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.operators.ProcessingTimeService.ProcessingTimeCallback;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;

/**
 * Puts the records of each partition together, so that neither Flink's network nor Python has one of them in its hands:
 * a row is the key of a partition's task, and a {@link Pack}.
 *
 * <p>A pack leaves when it is full, when its records have waited for long enough, and before each checkpoint: what the
 * source's offsets in it are behind has left by then.
 */
final class PackOperator extends AbstractStreamOperator<Row>
        implements OneInputStreamOperator<ConsumerRecord<byte[], byte[]>, Row>, BoundedOneInput, ProcessingTimeCallback {

    private static final long serialVersionUID = 1L;

    private final HashMap<Integer, Integer> tasks;
    private final int fullBytes;
    private final long gatherMs;

    private transient Map<Integer, Pack> packs;
    private transient boolean waits;

    /** By {@code tasks} a partition has the key of its task. */
    PackOperator(Map<Integer, Integer> tasks, int fullBytes, long gatherMs) {
        this.tasks = new HashMap<>(tasks);
        this.fullBytes = fullBytes;
        this.gatherMs = gatherMs;
    }

    @Override
    public void open() throws Exception {
        super.open();
        packs = new HashMap<>();
    }

    @Override
    public void processElement(StreamRecord<ConsumerRecord<byte[], byte[]>> element) {
        ConsumerRecord<byte[], byte[]> record = element.getValue();
        Pack pack = packs.get(record.partition());
        if (pack == null) {
            pack = begin(record.partition());
        }
        pack.add(record);
        if (pack.size() >= fullBytes) {
            leave(record.partition(), pack);
        } else if (!waits) {
            waits = true;
            getProcessingTimeService().registerTimer(getProcessingTimeService().getCurrentProcessingTime() + gatherMs, this);
        }
    }

    private Pack begin(int partition) {
        if (!tasks.containsKey(partition)) {
            throw new IllegalStateException(
                    "partition " + partition + " is new since the job was submitted with " + tasks.size()
                            + ": begin anew with another --state");
        }
        Pack pack = new Pack();
        packs.put(partition, pack);
        return pack;
    }

    @Override
    public void onProcessingTime(long timestamp) {
        waits = false;
        leave();
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) {
        leave();
    }

    @Override
    public void endInput() {
        leave();
    }

    private void leave() {
        packs.forEach(this::leave);
    }

    private void leave(int partition, Pack pack) {
        if (!pack.isEmpty()) {
            output.collect(new StreamRecord<>(Row.of(tasks.get(partition), pack.take())));
        }
    }
}
