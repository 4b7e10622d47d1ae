//! What landbridge tells about itself: metrics, events, the log.
