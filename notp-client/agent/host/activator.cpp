#include "notp-client/agent/host/activator.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <future>

#include "common/assert.hpp"
#include "common/spawn.hpp"
#include "protocol/model/manifest.hpp"

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
                     transport::OffloadPool& store_worker, OutcomeHandler on_outcome)
    : executor_(executor),
      pdp_(pdp),
      store_(store),
      store_worker_(store_worker),
      on_outcome_(std::move(on_outcome)) {}

void Activator::start() {
  pdp_.start([this](pdp::PdpOutcome outcome) { on_pdp(outcome); });
}

ContentSink* Activator::recent() { return pdp_.kind() == "embedded" ? &recent_ : nullptr; }

void Activator::activate(effect::Activate effect) {
  // In the core's view the set confirmed last is the active one.
  spawn(executor_, run(std::move(effect), confirmed_.get()));
}

asio::awaitable<void> Activator::run(effect::Activate effect, pdp::ActiveSetPtr confirmed) {
  auto active_set = co_await transport::offload(
      store_worker_, [this, &effect, &confirmed] { return compose(effect, confirmed.get()); });
  if (stopping_) co_return;
  if (active_set)
    pdp_.activate(*std::move(active_set), loader());
  else
    on_outcome_(effect.desired, active_set.error());
}

Result<pdp::ActiveSetPtr> Activator::compose(const effect::Activate& effect,
                                             const pdp::ActiveSet* confirmed) {
  auto active_set = std::make_shared<pdp::ActiveSet>();
  active_set->as_of_ms = effect.as_of_ms;
  for (const auto& [ledger, activated] : effect.releases) {
    NOTP_ASSIGN(pdp::ActiveRelease release, compose_release(activated, confirmed));
    active_set->ledgers.emplace(ledger, std::move(release));
  }
  composed_ = active_set;
  return active_set;
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

Result<std::shared_ptr<const model::DecisionTerms>> Activator::stored_terms(
    const model::Tree& tree) {
  const model::FileEntry* const entry = tree.find(model::kManifestPath);
  if (entry == nullptr) return nullptr;
  NOTP_ASSIGN(const model::Content text, store_.blob(entry->hash));
  auto manifest = model::Manifest::parse(*text);
  // Only a newer registry, which accepts a later manifest format, can have sent it. What it says
  // about records must not be overlooked.
  if (!manifest)
    return fail(ErrorCode::kPdpRejected,
                fmt::format("manifest.json is not one that this agent reads: {}",
                            manifest.error().message));
  if (manifest->decisions == model::DecisionTerms()) return nullptr;
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
