#include "notp-client/store/store.hpp"

namespace notp::store {
namespace {

Result<void> apply_to(Store& store, const change::PinRoot& change) {
  return store.pin_root(change.root, change.freshness_key_changed);
}
Result<void> apply_to(Store& store, const change::KeepFreshness& change) {
  return store.keep_freshness(change.keep);
}
Result<void> apply_to(Store& store, const change::KeepAssignment& change) {
  return store.keep_assignment(change.sequence, change.envelope);
}
Result<void> apply_to(Store& store, const change::KeepTime& change) {
  return store.keep_time(change.marks);
}
Result<void> apply_to(Store& store, const change::Quarantine& change) {
  return store.quarantine(change.ledger, change.version, change.error);
}
Result<void> apply_to(Store& store, const change::Release& change) {
  return store.release(change.ledger, change.version);
}
Result<void> apply_to(Store& store, const change::Confirm& change) {
  return store.confirm(change.ledger, change.version);
}
Result<void> apply_to(Store& store, const change::DropLedger& change) {
  return store.drop(change.ledger);
}

}  // namespace

Result<void> apply_change(Store& store, const StoreChange& change) {
  return std::visit([&](const auto& each) { return apply_to(store, each); }, change);
}

}  // namespace notp::store
