// A simulated node: the real agent core, session, codec, verification and installation on a store
// in memory; the test controls the clocks, the registry's messages and the PDP's answers.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/limits.hpp"
#include "common/random.hpp"
#include "notp-client/agent/core/agent_core.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/session/freshness_update.hpp"
#include "protocol/session/subscription_table.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/sim/memory_store.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp {

// A signed release with content.
struct TestRelease {
  trust::Release release;
  Hash hash;
  Bytes envelope;
  model::TreePtr tree;
  model::BlobMap blobs;
};

// The release after `previous` (nullptr: version 1); `change` may edit the statement before
// signing.
template <typename Change>
TestRelease make_release(const TestRelease* previous, Change change, uint8_t signer = 2) {
  TestRelease out;
  const uint64_t version = previous ? previous->release.version + 1 : 1;
  const Bytes text = "package payments\nversion := " + std::to_string(version);
  out.blobs.emplace(model::blob_hash(text), std::make_shared<const Bytes>(text));
  model::Files files;
  files.emplace("a.rego", model::FileEntry{model::blob_hash(text), text.size()});
  out.tree = std::make_shared<const model::Tree>(model::Tree::make(std::move(files)).value());
  out.release = samples::release(version);
  if (previous) out.release.previous_hash = previous->hash;
  out.release.content_root = out.tree->content_root();
  out.release.total_bytes = text.size();
  out.release.file_count = 1;
  change(out.release);
  const trust::Envelope envelope = samples::signed_by(out.release, {signer});
  out.hash = trust::release_hash(envelope.payload);
  out.envelope = envelope.encode();
  return out;
}
inline TestRelease make_release(const TestRelease* previous = nullptr) {
  return make_release(previous, [](trust::Release&) {});
}

class AgentNode {
 public:
  explicit AgentNode(Bytes pinned_root, std::vector<model::LedgerId> ledgers = {samples::kLedger})
      : pinned_root_(std::move(pinned_root)), ledgers_(std::move(ledgers)) {}

  // --- the process

  Result<void> try_boot() {
    auto state = store.load();
    auto trust = agent::AgentTrust::open(
        {.trust_domain = std::string(samples::kDomain), .audience = identity, .ledgers = ledgers_},
        pinned_root_, *state, now);
    if (!trust) return std::unexpected(trust.error());
    core_ = std::make_unique<agent::AgentCore>(
        agent::AgentOptions{.trust_domain = std::string(samples::kDomain),
                            .user_agent = "test",
                            .ledgers = ledgers_,
                            .backoff_first_ms = 1,
                            .backoff_max_ms = 60'000},
        *std::move(state), *std::move(trust), random_, now);
    core_->start(now);
    settle();
    return {};
  }
  void boot() {
    const auto booted = try_boot();
    REQUIRE_MESSAGE(booted, booted.error().message);
  }
  void restart() {
    session_ = nullptr;
    dialled_ = false;
    judging_.reset();
    core_.reset();
    pdp.clear();
    alarms.clear();
    boot();
  }

  // --- time: both clocks

  // Fires every deadline on the way.
  void advance(TimeMs ms) {
    const TimeMs end_ms = now.boot_ms + ms;
    for (;;) {
      const TimeMs session_ms = session_ ? session_->next_deadline() : kNever;
      const TimeMs next_ms = std::min(core_->next_deadline(), session_ms);
      if (next_ms > end_ms) break;
      move(std::max<TimeMs>(0, next_ms - now.boot_ms));
      if (session_ms <= now.boot_ms) session_->on_deadline(now);
      core_->on_deadline(now);
      settle();
    }
    move(end_ms - now.boot_ms);
  }
  // Sets the wall clock, as a user would; the kernel notifies the host.
  void set_clock(TimeMs wall_ms) {
    now.wall_ms = wall_ms;
    core_->on_deadline(now);
    settle();
  }
  // The machine sleeps: missed deadlines fire at the end.
  void sleep(TimeMs ms) {
    move(ms);
    advance(0);
  }

  // --- the registry

  void connect(std::vector<wire::Refusal> not_granted = {},
               std::vector<trust::ReleaseRef> heads = {}) {
    for (int tries = 0; !dialled_ && tries < 100; ++tries) advance(1'000);
    REQUIRE(dialled_);
    dialled_ = false;
    session_ = &core_->on_connected(now, registry_certificate, log);
    settle();
    if (std::exchange(finishes_install_before_welcome, false)) finish_install();
    send(wire::Welcome{.version = wire::kProtocolVersion,
                       .server = "test",
                       .trust_domain = std::string(samples::kDomain),
                       .root_version = 1,
                       .heads = std::move(heads),
                       .refusals = std::move(not_granted)});
  }
  void disconnect() {
    if (!session_) return;
    session_->on_cut(now);
    settle();
  }
  bool is_connected() const { return session_ != nullptr; }
  void send(const wire::Message& message) {
    if (!session_) return;
    session_->receive(wire::encode_frame(message), now);
    settle();
  }
  void send_root(const trust::Envelope& envelope) { send(wire::RootUpdate{envelope.encode()}); }
  void send_release(const TestRelease& release) {
    const delta::ReleaseContent target{
        release.envelope, release.tree.get(),
        [&](const Hash& hash) -> Result<model::Content> { return release.blobs.at(hash); }};
    const Bytes artifact = delta::encode_artifact(nullptr, target).value();
    wire::Offer offer;
    offer.stream = ++stream_;
    offer.ledger = release.release.ledger;
    offer.version = release.release.version;
    offer.artifact = sha256(artifact);
    offer.size = artifact.size();
    send(offer);
    if (session_) session_->receive(wire::encode_chunk_header(stream_, artifact.size()), now);
    if (session_) session_->receive(artifact, now);
    settle();
  }
  // The gates judge what they were given last; nothing, if that was replaced.
  void finish_gates() {
    if (const auto effect = std::exchange(judging_, std::nullopt)) activate(*effect);
    settle();
  }
  void finish_install() {
    delays_installs = false;
    core_->on_installed(agent::install_release(delayed_.value(), store), now);
    settle();
  }
  // A statement that these are the heads, as of now; `change` may edit it before signing.
  template <typename Change>
  void attest(std::vector<trust::FreshHead> heads, Change change, uint8_t signer = 7) {
    trust::Freshness freshness = samples::freshness(sequence + 1, std::move(heads));
    freshness.root_version = core_->status().root_version;
    freshness.issued_ms = now.wall_ms;
    freshness.expires_ms = now.wall_ms + 60'000;
    change(freshness);
    sequence = std::max(sequence, freshness.sequence);
    const trust::Envelope envelope = samples::signed_by(freshness, {signer});
    send(session::make_freshness_update(freshness, envelope.signatures.front().signature, nullptr));
  }
  void attest(std::vector<trust::FreshHead> heads) {
    attest(std::move(heads), [](trust::Freshness&) {});
  }
  void attest(const TestRelease& release) { attest({head(release)}); }
  static trust::FreshHead head(const TestRelease& release) {
    return {
        release.release.ledger, release.release.epoch, release.release.version, release.hash, {}};
  }

  // --- results

  const agent::DesiredRelease& decides(const model::LedgerId& ledger = samples::kLedger) const {
    REQUIRE(pdp.contains(ledger));
    return pdp.at(ledger);
  }
  trust::FreshnessState state() const { return decides().freshness_status.state; }
  bool denies() const { return decides().freshness_status.denies(); }
  agent::LedgerStatus ledger_status() const { return core_->status().ledgers.front(); }
  agent::AgentCore& core() { return *core_; }
  void pin(const trust::Envelope& root) { pinned_root_ = root.encode(); }
  bool alarmed(ErrorCode code) const { return alarms.contains(code); }

  Now now{samples::kIssuedMs + 3'600'000, 5'000};
  std::string identity = samples::kNode;
  tls::Validity registry_certificate;  // of the peer of the next session
  sim::MemoryStore store;
  uint64_t sequence = 0;
  bool delays_installs = false;  // until finish_install()
  bool finishes_install_before_welcome = false;
  agent::DesiredState pdp;
  std::shared_ptr<const wire::SourceStatus> sources;  // that the PDP decides with
  std::set<uint64_t> pdp_refuses;                     // versions; not while they are to be denied
  std::set<uint64_t> pdp_cannot_read;  // versions with damaged content; not while to be denied
  std::set<uint64_t> gate_holds;       // versions
  bool delays_gates = false;           // until finish_gates()
  // A real PDP beside the simulated one: why it refuses the state. Empty: there is none.
  std::function<std::optional<Error>(const agent::effect::Activate&)> hands_over;
  std::vector<std::pair<model::LedgerId, uint64_t>> judged;  // by gates, in this order
  std::set<ErrorCode> alarms;
  std::vector<wire::Commit> commits;
  std::vector<wire::Hello> hellos;
  std::vector<wire::Want> wants;    // on open sessions
  std::vector<ErrorCode> refusals;  // Error frames sent by this node
  std::vector<wire::Response> answers;
  std::optional<wire::LogOffer> log;  // offered in the next session
  std::vector<wire::LogGrant> grants;
  std::vector<wire::Held> helds;
  std::vector<wire::UnknownKey> unknown_keys;
  std::vector<wire::Return> returns;
  std::map<uint32_t, Bytes> returned_bytes;  // of the last session, by stream
  std::vector<trust::RootExpiry> root_aged;
  std::vector<wire::IssuerStatus> sources_changed;
  std::vector<agent::effect::LaneInput> lane_inputs;
  size_t activations = 0;

 private:
  void move(TimeMs ms) {
    now.boot_ms += ms;
    now.wall_ms += ms;
  }

  void settle() {
    for (bool again = true; again;) {
      again = false;
      if (session_) core_->on_session_progress(now);
      if (session_) read_output();
      for (agent::AgentEffect& effect : core_->take_effects()) {
        again = true;
        std::visit([this](auto& e) { run(e); }, effect);
      }
      if (session_ && session_->is_closed()) {
        again = true;
        core_->on_disconnected(std::nullopt, now);
        session_ = nullptr;
      }
    }
  }
  void read_output() {
    wire::FrameParser parser;
    for (Bytes out = session_->take_output(1 << 20); !out.empty();
         out = session_->take_output(1 << 20))
      parser.feed(out);
    for (auto message = parser.next().value(); message; message = parser.next().value()) {
      if (auto* commit = std::get_if<wire::Commit>(&*message)) {
        REQUIRE(table_.expand(*commit));
        commits.push_back(*commit);
      }
      if (auto* hello = std::get_if<wire::Hello>(&*message)) {
        hellos.push_back(*hello);
        table_ = {};
        for (const wire::Want& want : hello->wants) table_.count(want);
      }
      if (auto* more = std::get_if<wire::WantMore>(&*message))
        for (const wire::Want& want : more->wants) {
          table_.count(want);
          wants.push_back(want);
        }
      if (auto* held = std::get_if<wire::Held>(&*message)) helds.push_back(*held);
      if (auto* key = std::get_if<wire::UnknownKey>(&*message)) unknown_keys.push_back(*key);
      if (auto* returned = std::get_if<wire::Return>(&*message)) {
        returns.push_back(*returned);
        returned_bytes[returned->stream].clear();
      }
      if (auto* chunk = std::get_if<wire::Chunk>(&*message))
        returned_bytes[chunk->stream].append(chunk->bytes);
      if (auto* error = std::get_if<wire::ErrorMessage>(&*message)) refusals.push_back(error->code);
    }
  }

  void run(agent::effect::Connect&) { dialled_ = true; }
  void run(agent::effect::TracedOffer&) {}
  void run(agent::effect::Install& effect) {
    if (delays_installs) {
      delayed_ = effect.request;
      return;
    }
    core_->on_installed(agent::install_release(effect.request, store), now);
  }
  void run(agent::effect::ScanContent& effect) {
    core_->on_content_scan(effect.request, agent::scan_content(effect.request, store), now);
  }
  void run(agent::effect::Activate& effect) {
    const bool is_gated =
        std::ranges::any_of(effect.releases, [](const auto& each) { return each.second.is_gated; });
    judging_.reset();  // as the host does
    if (is_gated && delays_gates)
      judging_ = std::move(effect);
    else
      activate(effect);
  }
  void activate(const agent::effect::Activate& effect) {
    for (const auto& [ledger, release] : effect.releases) {
      if (!release.is_gated) continue;
      judged.emplace_back(ledger, release.stored.ref.version);
      if (gate_holds.contains(release.stored.ref.version))
        return core_->on_pdp(effect.desired,
                             Error{ErrorCode::kGateHeld, "12 of 1000 come out differently", {}},
                             now);
    }
    ++activations;
    std::optional<Error> refused;
    for (const auto& [ledger, release] : effect.desired)
      if (pdp_refuses.contains(release.version) && !release.freshness_status.denies())
        refused = Error{ErrorCode::kPdpRejected, "does not compile", {}};
    for (const auto& [ledger, release] : effect.desired)
      if (pdp_cannot_read.contains(release.version) && !release.freshness_status.denies())
        refused = Error{ErrorCode::kCorrupt, "a damaged blob", {}};
    if (hands_over && !refused) refused = hands_over(effect);
    if (!refused) {
      pdp = effect.desired;
      sources = effect.sources;
    }
    core_->on_pdp(effect.desired, refused, now);
  }
  void run(agent::effect::GiveBack& effect) {
    const agent::ReturnContents contents{
        .tree = [this](const auto& ledger,
                       uint64_t version) { return store.tree(ledger, version); },
        .blob = [this](const Hash& hash) { return store.blob(hash); }};
    core_->on_returned(effect.job, agent::make_return(effect.job, contents, {}), now);
  }
  void run(agent::effect::Persist& effect) { CHECK(store::apply_change(store, effect.change)); }
  void run(agent::effect::Alarm& effect) { alarms.insert(effect.error.code); }
  void run(agent::effect::Changed&) {}
  void run(agent::effect::Aged&) {}
  void run(agent::effect::SourceChanged& effect) {
    sources_changed.push_back(std::move(effect.issuer));
  }
  void run(agent::effect::RootAged& effect) {
    root_aged.push_back(trust::root_expiry(effect.root.expires_ms, effect.at_ms));
  }
  void run(agent::effect::Answered& effect) { answers.push_back(std::move(effect.response)); }
  void run(agent::effect::LogGranted& effect) { grants.push_back(std::move(effect.grant)); }
  void run(agent::effect::LaneInput& effect) { lane_inputs.push_back(std::move(effect)); }
  void run(agent::effect::ReceiptArrived&) {}

  Bytes pinned_root_;
  const std::vector<model::LedgerId> ledgers_;
  SeededRandom random_{1};
  std::unique_ptr<agent::AgentCore> core_;
  session::ClientSession* session_ = nullptr;
  bool dialled_ = false;
  std::optional<agent::InstallRequest> delayed_;
  std::optional<agent::effect::Activate> judging_;
  session::SubscriptionTable table_;  // of the session, on the registry's side
  uint32_t stream_ = 0;
};

}  // namespace notp
