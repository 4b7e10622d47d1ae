
-- How far the table is loaded by commit times at the source, and what stands in the way: an event time, 0 where none is known.
ALTER TABLE batches ADD COLUMN oldest_commit INTEGER;
ALTER TABLE batches ADD COLUMN newest_commit INTEGER;
ALTER TABLE batches ADD COLUMN blocks_from INTEGER;
UPDATE batches SET blocks_from = coalesce(oldest_event, 0) WHERE state IN (0, 1);
ALTER TABLE files ADD COLUMN full_load INTEGER NOT NULL DEFAULT 0 CHECK (full_load IN (0, 1));
CREATE INDEX blocking_files ON files (table_id, coalesce(event_at, 0))
    WHERE home IN (1, 3) AND discarded_at IS NULL AND full_load = 0;
ALTER TABLE last_loads ADD COLUMN reached_event INTEGER;
ALTER TABLE last_loads ADD COLUMN reached_commit INTEGER;
ALTER TABLE last_loads ADD COLUMN watermark INTEGER;
