
-- What the status page asks every second is counted when it changes, so that no page scans files or batches.
ALTER TABLE batches ADD COLUMN oldest_event INTEGER;
ALTER TABLE batches ADD COLUMN newest_event INTEGER;
ALTER TABLE files ADD COLUMN event_at INTEGER;
CREATE INDEX deferred_events ON files (table_id, coalesce(event_at, at)) WHERE home = 3;

-- Committed batches by UTC day of their commit.
CREATE TABLE loads (
    day INTEGER NOT NULL,
    table_id TEXT NOT NULL,
    files INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    PRIMARY KEY (day, table_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE last_loads (
    table_id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    newest_event INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO loads
    SELECT updated_at / 86400000000, table_id, sum(json_array_length(manifest)),
        sum((SELECT coalesce(sum(json_extract(entry.value, '$[4]')), 0) FROM json_each(manifest) AS entry))
    FROM batches WHERE state = 2 GROUP BY 1, 2;
INSERT INTO last_loads SELECT table_id, max(updated_at), NULL FROM batches WHERE state = 2 GROUP BY 1;

-- How many files of a table are poison, vanished, deferred. Triggers, so that no step can forget it.
CREATE TABLE homes (
    table_id TEXT NOT NULL,
    home INTEGER NOT NULL,
    files INTEGER NOT NULL,
    PRIMARY KEY (table_id, home)
) STRICT, WITHOUT ROWID;
INSERT INTO homes SELECT table_id, home, count(*) FROM files WHERE home <> 0 GROUP BY 1, 2;
CREATE TRIGGER file_housed AFTER INSERT ON files WHEN NEW.home <> 0 BEGIN
    INSERT INTO homes (table_id, home, files) VALUES (NEW.table_id, NEW.home, 1)
        ON CONFLICT (table_id, home) DO UPDATE SET files = files + 1;
END;
CREATE TRIGGER file_left AFTER UPDATE OF home ON files WHEN OLD.home <> 0 AND OLD.home <> NEW.home BEGIN
    UPDATE homes SET files = files - 1 WHERE table_id = OLD.table_id AND home = OLD.home;
END;
CREATE TRIGGER file_moved AFTER UPDATE OF home ON files WHEN NEW.home <> 0 AND OLD.home <> NEW.home BEGIN
    INSERT INTO homes (table_id, home, files) VALUES (NEW.table_id, NEW.home, 1)
        ON CONFLICT (table_id, home) DO UPDATE SET files = files + 1;
END;
