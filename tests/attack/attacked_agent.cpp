#include "tests/attack/attacked_agent.hpp"

#include "common/assert.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/session/freshness_update.hpp"
#include "protocol/wire/frame.hpp"

namespace notp::attack {
namespace {

constexpr size_t kOutputBytes = 1 << 20;
constexpr TimeMs kMinuteMs = 60'000;

const std::vector<model::LedgerId> kLedgers = {kGateway, kPayments};

template <typename T>
T must(Result<T> result) {
  NOTP_ASSERT(result, "a part of the honest story failed");
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace

// Made once: each node starts with a copy.
std::filesystem::path AttackedAgent::honest_store(const Domain& domain) {
  static const TemporaryFolder kept;
  static const bool made = [&] {
    const AttackedAgent agent(domain, Fresh{});
    std::filesystem::copy(agent.folder_.path(), kept.path(),
                          std::filesystem::copy_options::recursive);
    return true;
  }();
  static_cast<void>(made);
  return kept.path();
}

AttackedAgent::AttackedAgent(const Domain& domain, Fresh) : domain_(domain), ledgers_(kLedgers) {
  now_.wall_ms = kStartMs - kMinuteMs;
  boot();
  connect();
  send_root(domain_.root_envelope(2));
  send_release(domain_.release(kPayments, 2));
  send_release(domain_.release(kGateway, 2));
  now_.wall_ms += kMinuteMs;
  now_.boot_ms += kMinuteMs;
  const trust::Freshness last =
      domain_.freshness(kAttackedNode, 5, now_.wall_ms, {{kGateway, 2}, {kPayments, 2}});
  send_freshness(last, sealed(last, {keys::kFreshness}));
  disconnect();
  NOTP_ASSERT(take_codes().empty() && serves(kPayments) && serves(kGateway),
              "the story begins well");
  core_.reset();
  store_.reset();
}

AttackedAgent::AttackedAgent(const Domain& domain, const std::vector<model::LedgerId>& more)
    : domain_(domain), ledgers_(kLedgers) {
  ledgers_.insert(ledgers_.end(), more.begin(), more.end());
  std::filesystem::copy(honest_store(domain), folder_.path(),
                        std::filesystem::copy_options::recursive);
  boot();
}

AttackedAgent::~AttackedAgent() = default;

void AttackedAgent::boot() {
  store_ = must(store::SqliteStore::open(folder_.path() / "store"));
  store::StoreState state = must(store_->load());
  agent::mark_keys_only(state, *store_);
  agent::AgentTrust trust = must(agent::AgentTrust::open({.trust_domain = std::string(kDomain),
                                                          .audience = std::string(kAttackedNode),
                                                          .ledgers = ledgers_},
                                                         domain_.root_envelope(1), state, now_));
  core_ =
      std::make_unique<agent::AgentCore>(agent::AgentOptions{.trust_domain = std::string(kDomain),
                                                             .user_agent = "test",
                                                             .ledgers = ledgers_,
                                                             .backoff_first_ms = 1,
                                                             .backoff_max_ms = 1},
                                         std::move(state), std::move(trust), random_, now_);
  core_->start(now_);
  settle();
}

void AttackedAgent::restart() {
  session_ = nullptr;
  dialled_ = false;
  core_.reset();
  store_.reset();
  pdp_.clear();
  boot();
}

void AttackedAgent::connect() {
  if (session_) return;
  while (!dialled_) advance(1);
  dialled_ = false;
  session_ = &core_->on_connected(now_, {});
  settle();
  send(wire::Welcome{.version = wire::kProtocolVersion,
                     .server = "evil",
                     .trust_domain = std::string(kDomain),
                     .root_version = 2,
                     .heads = {},
                     .refusals = {}});
}

void AttackedAgent::disconnect() {
  if (!session_) return;
  session_->on_cut(now_);
  settle();
}

void AttackedAgent::send(const wire::Message& message) { send_raw(wire::encode_frame(message)); }

void AttackedAgent::send_raw(ByteView bytes) {
  if (!session_) return;
  session_->receive(bytes, now_);
  settle();
}

void AttackedAgent::send_freshness(const trust::Freshness& freshness, const Bytes& envelope) {
  const trust::Envelope signed_envelope = must(trust::Envelope::decode(envelope));
  send(session::make_freshness_update(freshness, signed_envelope.signatures.back().signature,
                                      nullptr));
}

void AttackedAgent::send_release(const SignedRelease& release, const model::LedgerId& as,
                                 uint64_t version) {
  const delta::ReleaseContent target{release.envelope, release.content.tree.get(),
                                     release.content.loader()};
  send_artifact(as, version, must(delta::encode_artifact(nullptr, target)));
}

void AttackedAgent::send_release_on(const SignedRelease& base, const SignedRelease& release) {
  const delta::ReleaseContent from{base.envelope, base.content.tree.get(), base.content.loader()};
  const delta::ReleaseContent to{release.envelope, release.content.tree.get(),
                                 release.content.loader()};
  const Bytes artifact = must(delta::encode_artifact(&from, to));
  send_part(release.release.ledger, release.release.version, sha256(artifact), artifact.size(), 0,
            artifact, wire::Base{base.release.version, base.release.content_root});
}

void AttackedAgent::send_artifact(const model::LedgerId& ledger, uint64_t version,
                                  const Bytes& artifact) {
  send_part(ledger, version, sha256(artifact), artifact.size(), 0, artifact);
}

void AttackedAgent::send_part(const model::LedgerId& ledger, uint64_t version, const Hash& id,
                              uint64_t size, uint64_t offset, ByteView part,
                              const std::optional<wire::Base>& base) {
  const uint32_t stream = next_stream_++;
  send(wire::Offer{.stream = stream,
                   .ledger = ledger,
                   .version = version,
                   .base = base,
                   .artifact = id,
                   .size = size,
                   .offset = offset,
                   .content_root = {}});
  for (; !part.empty(); part.remove_prefix(std::min(part.size(), limits::kChunkBytesMax))) {
    const ByteView chunk = part.substr(0, limits::kChunkBytesMax);
    send_raw(wire::encode_chunk_header(stream, chunk.size()) + Bytes(chunk));
  }
}

void AttackedAgent::advance(TimeMs ms) {
  const TimeMs end_ms = now_.boot_ms + ms;
  const auto deadline = [&] {
    return std::min(core_->next_deadline(), session_ ? session_->next_deadline() : kNever);
  };
  for (TimeMs next = deadline(); next <= end_ms; next = deadline()) {
    const TimeMs step = std::max<TimeMs>(0, next - now_.boot_ms);
    now_.boot_ms += step;
    now_.wall_ms += step;
    if (session_ && session_->next_deadline() <= now_.boot_ms) session_->on_deadline(now_);
    if (core_->next_deadline() <= now_.boot_ms) core_->on_deadline(now_);
    settle();
  }
  now_.wall_ms += end_ms - now_.boot_ms;
  now_.boot_ms = end_ms;
}

// Runs the core's effects until there are none, and reads its messages to its registry.
void AttackedAgent::settle() {
  for (bool again = true; again;) {
    again = false;
    if (session_) {
      core_->on_session_progress(now_);
      read_output();
    }
    for (const agent::AgentEffect& effect : core_->take_effects()) {
      again = true;
      run(effect);
    }
    if (session_ && session_->is_closed()) {
      again = true;
      core_->on_disconnected(std::nullopt, now_);
      session_ = nullptr;
    }
  }
}

void AttackedAgent::read_output() {
  wire::FrameParser parser;
  for (Bytes out = session_->take_output(kOutputBytes); !out.empty();
       out = session_->take_output(kOutputBytes))
    parser.feed(out);
  for (auto message = must(parser.next()); message; message = must(parser.next())) {
    if (const auto* commit = std::get_if<wire::Commit>(&*message)) {
      if (commit->state == wire::CommitState::kRejected)
        codes_.insert(error_code_from_wire(commit->code));
    } else if (const auto* error = std::get_if<wire::ErrorMessage>(&*message)) {
      codes_.insert(error->code);
    }
  }
}

void AttackedAgent::run(const agent::AgentEffect& effect) {
  if (std::holds_alternative<agent::effect::Connect>(effect)) dialled_ = true;
  if (const auto* install = std::get_if<agent::effect::Install>(&effect))
    core_->on_installed(agent::install_release(install->request, *store_), now_);
  if (const auto* scan = std::get_if<agent::effect::ScanContent>(&effect))
    core_->on_content_scan(scan->request, agent::scan_content(scan->request, *store_), now_);
  if (const auto* activate = std::get_if<agent::effect::Activate>(&effect)) {
    pdp_ = activate->desired;
    core_->on_pdp(activate->desired, std::nullopt, now_);
  }
  if (const auto* persist = std::get_if<agent::effect::Persist>(&effect))
    must(store::apply_change(*store_, persist->change));
  if (const auto* alarm = std::get_if<agent::effect::Alarm>(&effect))
    codes_.insert(alarm->error.code);
}

NodeState AttackedAgent::state() {
  const store::StoreState stored = must(store_->load());
  NodeState out;
  out.root_version = stored.root_chain.back().version;
  out.freshness_sequence = stored.freshness_sequence;
  out.assignment = stored.assignment;
  for (const auto& [ledger, entry] : stored.ledgers) {
    out.floors[ledger] = entry.floor;
    out.listed[ledger] = entry.listed;
    for (const store::StoredRelease& release : entry.releases)
      out.stored[ledger].push_back(release.ref.release_hash);
  }
  for (const auto& [ledger, decided] : pdp_)
    out.active[ledger] = must(store_->tree(ledger, decided.version))->content_root();
  return out;
}

std::set<ErrorCode> AttackedAgent::take_codes() { return std::exchange(codes_, {}); }

trust::FreshnessStatus AttackedAgent::freshness_status(const model::LedgerId& ledger) const {
  for (const agent::LedgerStatus& row : core_->status().ledgers)
    if (row.ledger == ledger) return row.freshness_status;
  return {};
}

bool AttackedAgent::decides_with(const model::LedgerId& ledger,
                                 const SignedRelease& release) const {
  const auto decided = pdp_.find(ledger);
  if (decided == pdp_.end() || decided->second.version != release.release.version) return false;
  return must(store_->tree(ledger, release.release.version))->content_root() ==
         release.release.content_root;
}

bool AttackedAgent::serves(const model::LedgerId& ledger) const {
  const auto decided = pdp_.find(ledger);
  return decided != pdp_.end() && !decided->second.freshness_status.denies();
}

}  // namespace notp::attack
