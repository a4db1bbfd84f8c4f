#include "notp-client/agent/host/activator.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <future>

#include "common/assert.hpp"
#include "common/spawn.hpp"

namespace notp::agent {

namespace asio = boost::asio;

namespace {

DesiredState state_of(const pdp::ActiveSet& active_set) {
  DesiredState state;
  for (const auto& [ledger, release] : active_set.ledgers)
    state.emplace(ledger, DesiredRelease{release.ref.version, release.ref.release_hash,
                                         release.freshness_status});
  return state;
}

}  // namespace

Activator::Activator(asio::any_io_executor executor, pdp::Pdp& pdp, store::Store& store,
                     transport::OffloadPool& store_worker, OutcomeHandler on_outcome, GateUse gate,
                     std::shared_ptr<const rego::TxnRules> txn)
    : executor_(executor),
      pdp_(pdp),
      store_(store),
      store_worker_(store_worker),
      on_outcome_(std::move(on_outcome)),
      gate_(std::move(gate)),
      txn_(std::move(txn)) {}

void Activator::start() {
  pdp_.start([this](pdp::PdpOutcome outcome) { on_pdp(outcome); });
}

ContentSink* Activator::recent() { return pdp_.kind() == "embedded" ? &recent_ : nullptr; }

void Activator::activate(effect::Activate effect) {
  if (gate_.judge) gate_.judge->cancel();
  // In the core's view the set confirmed last is the active one.
  spawn(executor_, run(std::move(effect), confirmed_.get(), ++last_));
}

void Activator::stop() {
  stopping_ = true;
  if (gate_.judge) gate_.judge->stop();
}

asio::awaitable<void> Activator::run(effect::Activate effect, pdp::ActiveSetPtr confirmed,
                                     uint64_t number) {
  auto composed = co_await transport::offload(
      store_worker_, [this, &effect, &confirmed] { return compose(effect, confirmed.get()); });
  if (stopping_) co_return;
  if (!composed) co_return on_outcome_(effect.desired, composed.error());
  const pdp::ActiveSetPtr active_set = composed->candidate;
  if (!composed->releases.empty() && gate_.judge) {
    // The newer one has been handed over already, or will be.
    if (number != last_) co_return;
    const GateReport report = co_await gate_.judge->judge(*std::move(composed), stored_contents());
    if (stopping_ || number != last_) co_return;
    for (const Error& failure : report.failures) gate_.failed(failure);
    if (report.held) {
      recent_.clear();
      co_return on_outcome_(effect.desired, report.held);
    }
  }
  pdp_.activate(active_set, loader());
}

Result<GateRequest> Activator::compose(const effect::Activate& effect,
                                       const pdp::ActiveSet* confirmed) {
  GateRequest out;
  auto active_set = std::make_shared<pdp::ActiveSet>();
  active_set->as_of_ms = effect.as_of_ms;
  active_set->sources = effect.sources;
  active_set->txn = txn_;
  for (const auto& [ledger, activated] : effect.releases) {
    NOTP_ASSIGN(pdp::ActiveRelease release, compose_release(activated, confirmed));
    if (activated.is_gated) {
      NOTP_ASSIGN(const auto manifest, stored_manifest(*release.tree));
      if (manifest && manifest->gate)
        out.releases.push_back({ledger, release.ref.version, *manifest->gate});
    }
    active_set->ledgers.emplace(ledger, std::move(release));
  }
  composed_ = active_set;
  out.candidate = std::move(active_set);
  return out;
}

// Reads the store only for a release that was not composed before: a store that was damaged since
// must not keep an expired release in force.
Result<pdp::ActiveRelease> Activator::compose_release(const ActivatedRelease& release,
                                                      const pdp::ActiveSet* confirmed) {
  const trust::ReleaseRef& ref = release.stored.ref;
  pdp::ActiveRelease composed{
      .ref = ref, .data_roots = release.data_roots, .freshness_status = release.freshness_status};
  if (const pdp::ActiveRelease* const before = known(release, confirmed)) {
    composed.tree = before->tree;
    composed.terms = before->terms;
    return composed;
  }
  NOTP_ASSIGN(composed.tree, store_.tree(ref.ledger, ref.version));
  if (composed.tree->content_root() != ref.content_root)
    return fail(ErrorCode::kCorrupt,
                fmt::format("{} v{}: the stored file list is of another release", ref.ledger.text(),
                            ref.version));
  NOTP_ASSIGN(composed.terms, stored_terms(*composed.tree));
  return composed;
}

// A PDP that confirms nothing, such as the folder without a hook, has no active releases.
const pdp::ActiveRelease* Activator::known(const ActivatedRelease& release,
                                           const pdp::ActiveSet* confirmed) const {
  const trust::ReleaseRef& ref = release.stored.ref;
  if (release.is_active) {
    NOTP_ASSERT(confirmed, "what is active was confirmed");
    return &confirmed->ledgers.at(ref.ledger);
  }
  if (!composed_) return nullptr;
  const auto before = composed_->ledgers.find(ref.ledger);
  if (before == composed_->ledgers.end() || before->second.ref.release_hash != ref.release_hash)
    return nullptr;
  return &before->second;
}

Result<std::optional<model::Manifest>> Activator::stored_manifest(const model::Tree& tree) {
  const model::FileEntry* const entry = tree.find(model::kManifestPath);
  if (entry == nullptr) return std::nullopt;
  NOTP_ASSIGN(const model::Content text, store_.blob(entry->hash));
  auto manifest = model::Manifest::parse(*text);
  // Only a newer registry, which accepts a later manifest format, can have sent it. What it says
  // about records must not be overlooked.
  if (!manifest)
    return fail(ErrorCode::kPdpRejected,
                fmt::format("manifest.json is not one that this agent reads: {}",
                            manifest.error().message));
  return *std::move(manifest);
}

Result<std::shared_ptr<const model::DecisionTerms>> Activator::stored_terms(
    const model::Tree& tree) {
  NOTP_ASSIGN(auto manifest, stored_manifest(tree));
  if (!manifest || manifest->decisions == model::DecisionTerms()) return nullptr;
  return std::make_shared<const model::DecisionTerms>(std::move(manifest->decisions));
}

// PDPs load on their own threads; the store has one.
model::BlobLoader Activator::loader() {
  return [this, stored = stored_contents()](const Hash& hash) -> Result<model::Content> {
    if (model::Content content = recent_.take(hash)) return content;
    return stored(hash);
  };
}

model::BlobLoader Activator::stored_contents() {
  return [this](const Hash& hash) -> Result<model::Content> {
    // Only the task holds the promise: if it is dropped, the wait ends.
    auto loaded = std::make_shared<std::promise<Result<model::Content>>>();
    auto future = loaded->get_future();
    asio::post(store_worker_.executor(),
               [this, hash, loaded = std::move(loaded)] { loaded->set_value(store_.blob(hash)); });
    try {
      return future.get();
    } catch (const std::future_error&) {
      return fail(ErrorCode::kCancelled, "the agent stops");
    }
  };
}

void Activator::on_pdp(const pdp::PdpOutcome& outcome) {
  if (stopping_) return;
  recent_.clear();
  if (!outcome.rejected) confirmed_.set(outcome.active_set);
  on_outcome_(state_of(*outcome.active_set), outcome.rejected);
}

}  // namespace notp::agent
