-- Nexmark's windowed queries in Flink SQL, over files in FOLDER.

CREATE TABLE persons (
  id BIGINT, name STRING, `at` BIGINT,
  moment AS TO_TIMESTAMP_LTZ(`at`, 3), WATERMARK FOR moment AS moment - INTERVAL '3' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'FOLDER/persons.ndjson');

CREATE TABLE auctions (
  seller BIGINT, `at` BIGINT,
  moment AS TO_TIMESTAMP_LTZ(`at`, 3), WATERMARK FOR moment AS moment - INTERVAL '3' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'FOLDER/auctions.ndjson');

CREATE TABLE bids (
  event BIGINT, auction BIGINT, bidder BIGINT, price BIGINT, `at` BIGINT,
  moment AS TO_TIMESTAMP_LTZ(`at`, 3), WATERMARK FOR moment AS moment - INTERVAL '3' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'FOLDER/bids.ndjson');

-- Q5: the auctions with the most bids in ten seconds, every two seconds.

CREATE TABLE hot_items (
  auction BIGINT, bids BIGINT, window_start TIMESTAMP(3), window_end TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'FOLDER/hot_items');

CREATE VIEW counted AS
SELECT auction, COUNT(*) AS bids, window_start, window_end
FROM TABLE(HOP(TABLE bids, DESCRIPTOR(moment), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
GROUP BY auction, window_start, window_end;

INSERT INTO hot_items
SELECT counted.auction, counted.bids, counted.window_start, counted.window_end
FROM counted
JOIN (SELECT MAX(bids) AS most, window_start, window_end FROM counted GROUP BY window_start, window_end) top
  ON counted.window_start = top.window_start AND counted.window_end = top.window_end AND counted.bids = top.most;

-- Q7: the highest bids of ten seconds.

CREATE TABLE highest_bids (
  event BIGINT, auction BIGINT, bidder BIGINT, price BIGINT, made BIGINT
) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'FOLDER/highest_bids');

CREATE VIEW tumbling_bids AS
SELECT * FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(moment), INTERVAL '10' SECOND));

INSERT INTO highest_bids
SELECT bid.event, bid.auction, bid.bidder, bid.price, bid.`at`
FROM tumbling_bids bid
JOIN (
  SELECT MAX(price) AS highest, window_start, window_end FROM tumbling_bids GROUP BY window_start, window_end
) top
  ON bid.window_start = top.window_start AND bid.window_end = top.window_end AND bid.price = top.highest;

-- Q8: who came and opened auctions within the same ten seconds.

CREATE TABLE new_sellers (
  person BIGINT, name STRING, window_start TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'FOLDER/new_sellers');

INSERT INTO new_sellers
SELECT entered.id, entered.name, entered.window_start
FROM (
  SELECT id, name, window_start, window_end
  FROM TABLE(TUMBLE(TABLE persons, DESCRIPTOR(moment), INTERVAL '10' SECOND))
  GROUP BY id, name, window_start, window_end
) entered
JOIN (
  SELECT seller, window_start, window_end
  FROM TABLE(TUMBLE(TABLE auctions, DESCRIPTOR(moment), INTERVAL '10' SECOND))
  GROUP BY seller, window_start, window_end
) sold
  ON entered.id = sold.seller
    AND entered.window_start = sold.window_start AND entered.window_end = sold.window_end;

-- Q11: how many bids a person makes before ten seconds without one.

CREATE TABLE bidder_sessions (
  bidder BIGINT, bids BIGINT, window_start TIMESTAMP(3), window_end TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'FOLDER/bidder_sessions');

INSERT INTO bidder_sessions
SELECT bidder, COUNT(*), window_start, window_end
FROM TABLE(SESSION(TABLE bids PARTITION BY bidder, DESCRIPTOR(moment), INTERVAL '10' SECOND))
GROUP BY bidder, window_start, window_end;
