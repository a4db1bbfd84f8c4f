#include "tests/sim/sim_recovery.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace notp::sim {

void SimRecovery::begin(TimeMs order_in_ms) {
  is_ordered_ = false;
  heard_.clear();
  lost_.clear();
  held_root_ = 0;
  world_.at(order_in_ms, [this] {
    is_ordered_ = true;
    step();
  });
}

// --- nodes

void SimRecovery::greeted(size_t node) {
  connected_.insert(node);
  heard_.insert(node);
  awaited_.erase(node);
  step_soon();
}

// What it holds may not be known yet.
void SimRecovery::ended(size_t node) {
  connected_.erase(node);
  if (awaited_.erase(node) != 0) heard_.erase(node);
  if (open_ && open_->node == node) open_.reset();
  step_soon();
}

void SimRecovery::on_event(size_t node, const session::server_event::HoldsMore& more) {
  const PublishedRelease* head = registry_.head(more.ledger);
  const wire::HeldRequest request{more.ledger, head ? head->release.version : 0,
                                  registry_.known_root()};
  if (handlers_.ask_held(node, request)) ++awaited_[node];
}

void SimRecovery::on_event(size_t node, const session::server_event::HeldArrived& arrived) {
  const wire::Held& held = arrived.held;
  if (auto& awaited = awaited_[node]; --awaited == 0) awaited_.erase(node);
  for (const Bytes& envelope : held.roots) {
    const uint64_t version = registry_.trust().version_of(envelope);
    if (version == 0) return world_.violation(node, "holds a root that nobody made");
    held_root_ = std::max(held_root_, version);
  }
  for (const Bytes& envelope : held.releases) {
    trust::ReleaseEnvelope read(envelope);
    const PublishedRelease* release =
        read.open() ? registry_.signed_by_publisher(read.hash()) : nullptr;
    if (release == nullptr || release->release.ledger != held.ledger)
      return world_.violation(node, "holds a release that nobody signed");
    if (registry_.has_lost(held.ledger, release->release.version))
      lost_[held.ledger][release->release.version].insert(node);
  }
  step_soon();
}

void SimRecovery::on_event(size_t node, session::server_event::ReturnArrived& arrived) {
  if (!open_ || open_->node != node) return;
  const OpenReturn open = *std::exchange(open_, std::nullopt);
  auto bytes = arrived.artifact ? arrived.artifact->take() : Result<Bytes>(Bytes());
  const auto taken = take_back(open, arrived.head, *bytes);
  if (!taken) {
    ++refused_;
    world_.note("not returned", node, taken.error().message);
    lost_[open.ledger][open.version].erase(node);
  } else {
    ++recovered_;
    world_.note("returned", node, fmt::format("{} v{}", open.ledger.text(), open.version));
    lost_[open.ledger].erase(open.version);
    handlers_.release_back(open.ledger);
  }
  step_soon();
}

// As when it was published.
Result<void> SimRecovery::take_back(const OpenReturn& open, const wire::Return& head,
                                    ByteView artifact) {
  if (head.code != 0) return fail(error_code_from_wire(head.code), head.message);
  const PublishedRelease* base =
      head.base ? registry_.find(open.ledger, head.base->version) : nullptr;
  if (head.base && base == nullptr)
    return fail(ErrorCode::kArtifact, "it starts from a release that is not here");
  if (!registry_.has_lost(open.ledger, open.version))
    return fail(ErrorCode::kConflict, "its number was used again");
  const PublishedRelease& lost = *registry_.lost(open.ledger, open.version);
  const delta::ReleaseContent from = base ? registry_.side(*base) : delta::ReleaseContent{};
  NOTP_ASSIGN(const trust::ReleaseEnvelope envelope, delta::read_envelope(artifact, from.envelope));
  if (envelope != lost.envelope) return fail(ErrorCode::kWrongTarget, "it is another release");
  NOTP_ASSIGN(const delta::AppliedArtifact applied,
              delta::apply_artifact(artifact, base ? &from : nullptr,
                                    {lost.release.total_bytes, lost.release.file_count}));
  if (applied.tree->content_root() != lost.release.content_root)
    return fail(ErrorCode::kContentRoot, "it has other content");
  registry_.take_back(open.ledger, open.version);
  return {};
}

// --- the job

bool SimRecovery::is_everyone_heard() const { return heard_.size() == nodes_ && awaited_.empty(); }

void SimRecovery::step_soon() {
  if (is_ordered_) world_.at(0, [this] { step(); });
}

void SimRecovery::step() {
  if (!is_ordered_ || !registry_.is_restored() || open_ || !is_everyone_heard()) return;
  adopt_roots();
  for (const model::LedgerId& ledger : registry_.ledgers())
    if (ask_next(ledger)) return;
  finish();
}

void SimRecovery::adopt_roots() {
  if (held_root_ <= registry_.known_root()) return;
  registry_.adopt_roots(held_root_);
  handlers_.roots_back();
}

bool SimRecovery::ask_next(const model::LedgerId& ledger) {
  Lost& lost = lost_[ledger];
  std::erase_if(lost, [&](const auto& entry) {
    return entry.second.empty() || !registry_.has_lost(ledger, entry.first);
  });
  if (lost.empty()) return false;
  const auto& [version, holders] = *lost.begin();
  for (const size_t node : holders) {
    if (!connected_.contains(node)) continue;
    const PublishedRelease* head = registry_.head(ledger);
    open_ = {node, ledger, version, head ? head->release.version : 0};
    const wire::ReturnRequest request{next_request_++, ledger, version,
                                      registry_.lost(ledger, version)->hash, open_->base};
    if (handlers_.ask_return(node, request)) return true;
    open_.reset();
  }
  return true;  // until one of them comes back
}

// What no node holds is gone; who published it was told, and nothing else ever depended on it.
void SimRecovery::finish() {
  is_ordered_ = false;
  registry_.confirm();
  world_.note("recovered", 0);
  handlers_.done();
}

}  // namespace notp::sim
