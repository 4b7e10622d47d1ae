//! To a fetcher.

use std::sync::Arc;

use actix::Message;

use crate::columns::footer::Footer;
use crate::domain::file::FileId;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::object::Object;
use crate::flow::credit::Credit;

/// Open this file, whose announcements say that it was written then, and read its footer. Sent by its table's batcher, which hears `FileFetched` or a fault. If it is lost
/// with its fetcher, the batcher asks again when it hears that the fetcher ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FetchFile(pub FileId, pub Option<Instant>);

/// End all fetches of this table: whoever asked for them is gone. Sent by the root; if it is lost, they end by themselves,
/// or are found wedged.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct AbortFetches(pub TableId);

/// An open object whose footer was read, with the credit for the memory and disk that it occupies.
#[derive(Debug)]
pub struct Fetched {
    /// The object.
    pub object: Arc<dyn Object>,
    /// Its footer.
    pub footer: Footer,
    /// Its credit: memory, and disk when it is spooled.
    pub credit: Vec<Credit>,
    /// When all this was so.
    pub at: Instant,
}
