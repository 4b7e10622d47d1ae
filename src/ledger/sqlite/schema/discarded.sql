
-- Poison that a person has given up stays poison, and is counted apart: as if its home were 4.
ALTER TABLE files ADD COLUMN discarded_at INTEGER;
CREATE INDEX poison_files ON files (table_id, at) WHERE home = 1;
DROP TRIGGER file_left;
DROP TRIGGER file_moved;
CREATE TRIGGER file_left AFTER UPDATE OF home, discarded_at ON files
WHEN OLD.home <> 0 AND iif(OLD.discarded_at IS NULL, OLD.home, 4) <> iif(NEW.discarded_at IS NULL, NEW.home, 4) BEGIN
    UPDATE homes SET files = files - 1
        WHERE table_id = OLD.table_id AND home = iif(OLD.discarded_at IS NULL, OLD.home, 4);
END;
CREATE TRIGGER file_moved AFTER UPDATE OF home, discarded_at ON files
WHEN NEW.home <> 0 AND iif(OLD.discarded_at IS NULL, OLD.home, 4) <> iif(NEW.discarded_at IS NULL, NEW.home, 4) BEGIN
    INSERT INTO homes (table_id, home, files) VALUES (NEW.table_id, iif(NEW.discarded_at IS NULL, NEW.home, 4), 1)
        ON CONFLICT (table_id, home) DO UPDATE SET files = files + 1;
END;
