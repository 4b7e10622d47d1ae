//! The start of the children that no file passes through.

use super::*;

impl Root {
    pub(super) fn start_watchdog(&mut self, context: &mut Context<Self>) {
        let generation = self.next_generation(&ChildId::Watchdog, Spent::KeepTrying);
        let world = Arc::clone(&self.world);
        let init = move || async move { Ok::<_, Fault>(Watchdog::new(world)) };
        let root = context.address().recipient();
        self.watchdog = Some(start_child(ChildId::Watchdog, generation, root, init));
    }

    /// Starts the outbox, where somebody is told of loaded batches.
    pub(super) fn start_outbox(&mut self, context: &mut Context<Self>) {
        if self.world.ports.receivers.is_empty() {
            return;
        }
        let generation = self.next_generation(&ChildId::Outbox, Spent::KeepTrying);
        let world = Arc::clone(&self.world);
        let init = move || async move { Ok::<_, Fault>(Outbox::new(world)) };
        let handle = start_child(ChildId::Outbox, generation, context.address().recipient(), init);
        self.world.directory.set_outbox(handle.address.clone(), generation);
        self.outbox = Some(handle);
    }

    /// Starts the planner, where the warehouse has quotas.
    pub(super) fn start_planner(&mut self, context: &mut Context<Self>) {
        let Some(quotas) = self.world.quotas else { return };
        let generation = self.next_generation(&ChildId::Planner, Spent::KeepTrying);
        let world = Arc::clone(&self.world);
        let init = move || Planner::load(world, quotas);
        let handle = start_child(ChildId::Planner, generation, context.address().recipient(), init);
        self.world.directory.set_planner(handle.address.clone(), generation);
        self.planner = Some(handle);
    }
}
