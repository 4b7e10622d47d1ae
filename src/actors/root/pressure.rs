//! What the root does where credit is short: it closes the fattest windows of the lane, as `domain::pressure` decides.

use actix::Handler;

use super::{PRESSURE_INTERVAL, Root};
use crate::actors::supervision::tell;
use crate::bucket::Held;
use crate::domain::lane::Lane;
use crate::domain::pressure::to_close;
use crate::domain::table::CloseReason;
use crate::flow::credit::CreditKind;
use crate::messages::batcher::FlushWindow;
use crate::messages::root::CreditShort;

impl Handler<CreditShort> for Root {
    type Result = ();

    fn handle(&mut self, message: CreditShort, _: &mut Self::Context) {
        let CreditShort { lane, kind } = message;
        let pressed_at = self.pressed_at.of_mut(lane);
        if pressed_at.is_none_or(|at| at.elapsed() >= PRESSURE_INTERVAL) {
            *pressed_at = Some(tokio::time::Instant::now());
            self.relieve(lane, kind);
        }
    }
}

impl Root {
    fn relieve(&self, lane: Lane, kind: CreditKind) {
        let everything = Held { memory_bytes: 1, disk_bytes: 1 };
        let mut pools = self.world.pools_of(lane, everything);
        let Some((_, pool, _)) = pools.find(|(other, ..)| *other == kind) else { return };
        let of = |held: &Held| match kind {
            CreditKind::Memory => held.memory_bytes,
            CreditKind::Objects => held.disk_bytes,
        };
        let windows: Vec<_> = self
            .world
            .directory
            .batchers()
            .into_iter()
            .filter_map(|(table, batcher)| {
                let planned = self.world.windows.get(&table).map(|planned| planned.0.why);
                let stays = lane == Lane::Changes && planned.is_some_and(|why| !why.gives_way_to_pressure());
                let key = (table, lane);
                let bytes = of(self.world.in_windows.get(&key)?.value());
                Some((batcher, key.0, bytes, stays))
            })
            .collect();
        let in_windows: u64 = windows.iter().map(|(_, _, bytes, _)| bytes).sum();
        let held = pool.limit_bytes().saturating_sub(pool.available_bytes());
        let fat = windows.iter().filter(|(.., stays)| !stays).map(|(_, table, bytes, _)| (table, *bytes));
        let closed = to_close(fat, pool.waiting_bytes(), held.saturating_sub(in_windows));
        for (batcher, ..) in windows.iter().filter(|(_, table, ..)| closed.contains(&table)) {
            tell(batcher, FlushWindow { reason: CloseReason::Pressure, lane: Some(lane) });
        }
    }
}
