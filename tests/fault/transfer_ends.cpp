#include "tests/fault/transfer_ends.hpp"

#include <algorithm>

#include "protocol/session/server/server_session.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace notp {

void ReleaseFixture::publish(const std::map<std::string, Bytes>& model) {
  ServedRelease next;
  model::ModelContent content = samples::model_of(model);
  next.blobs = std::move(content.blobs);
  next.tree = std::move(content.tree);
  next.release = samples::release(releases_.size() + 1);
  if (!releases_.empty()) next.release.previous_hash = newest().hash;
  next.release.content_root = next.tree->content_root();
  next.release.total_bytes = next.tree->total_bytes();
  next.release.file_count = next.tree->files().size();
  const trust::Envelope envelope = samples::signed_by(next.release, {2});
  next.hash = trust::release_hash(envelope.payload);
  next.envelope = envelope.encode();
  releases_.push_back(std::move(next));
}

std::optional<session::PreparedArtifact> ReleaseFixture::prepare(
    const session::server_event::ArtifactNeeded& need) const {
  const auto load = [this](const Hash& hash) -> Result<model::Content> {
    for (const ServedRelease& release : releases_)
      if (release.blobs.contains(hash)) return release.blobs.at(hash);
    return fail(ErrorCode::kNotFound, "no release has it");
  };
  const ServedRelease& target = releases_.at(need.version - 1);
  const ServedRelease* base = need.base_version ? &releases_.at(need.base_version - 1) : nullptr;
  std::vector<delta::LeafIndexPtr> own;
  for (const ServedRelease& release : releases_)
    own.insert(own.begin(), std::make_shared<const delta::LeafIndex>(release.tree));
  const std::optional<session::ArtifactBase> from =
      session::artifact_base(need, base ? base->hash : Hash{}, base ? base->tree : nullptr, own)
          .value();
  if (!from) return std::nullopt;
  session::PreparedArtifact out{.id = delta::artifact_id(from->id, target.hash),
                                .encoding_tier = 0,
                                .bytes = {},
                                .partial = from->partial};
  model::Content& made = artifacts_[out.id];
  if (!made) {
    const delta::ReleaseContent to{target.envelope, target.tree.get(), load};
    delta::ReleaseContent of{{}, from->tree.get(), load};
    if (base && !from->partial) of.envelope = base->envelope;
    made = std::make_shared<const Bytes>(
        delta::encode_artifact(from->tree ? &of : nullptr, to, {.level = 1}).value());
  }
  out.bytes = made;
  return out;
}

std::optional<trust::ReleaseRef> ReleaseFixture::target(const model::LedgerId& ledger,
                                                        std::string_view) const {
  return release(ledger, releases_.size());
}

std::optional<trust::ReleaseRef> ReleaseFixture::release(const model::LedgerId& ledger,
                                                         uint64_t version) const {
  if (ledger != samples::kLedger || version == 0 || version > releases_.size()) return std::nullopt;
  const ServedRelease& found = releases_[version - 1];
  return trust::ref_of(found.release, found.hash);
}

StagingNode::StagingNode(const std::filesystem::path& folder, size_t releases_kept,
                         const ReleaseFixture* published, std::vector<model::LedgerId> ledgers)
    : published_(published), store_(store::SqliteStore::open(folder).value()), staging_(folder) {
  store::StoreState state = store_->load().value();
  auto trust =
      agent::AgentTrust::open({.trust_domain = std::string(samples::kDomain),
                               .audience = samples::kNode,
                               .ledgers = ledgers},
                              samples::signed_by(samples::root(), {1}).encode(), state, now_);
  REQUIRE_MESSAGE(trust, trust.error().message);
  core_ = std::make_unique<agent::AgentCore>(
      agent::AgentOptions{.trust_domain = std::string(samples::kDomain),
                          .user_agent = "test",
                          .ledgers = std::move(ledgers),
                          .releases_kept = releases_kept,
                          .backoff_first_ms = 1,
                          .backoff_max_ms = 1'000},
      std::move(state), *std::move(trust), random_, now_);
  core_->adopt_staged(staging_.load());
  core_->start(now_);
  settle();
}

Bytes StagingNode::converse(const ReleaseFixture& fixture, size_t bytes_max, SeededRandom& random) {
  for (int tries = 0; !dialled_ && tries < 1000; ++tries) {
    now_.boot_ms = std::max(now_.boot_ms, core_->next_deadline());
    core_->on_deadline(now_);
    settle();
  }
  REQUIRE(dialled_);
  dialled_ = false;
  session::ServerSession server({fixture, fixture, fixture},
                                {"test", std::string(samples::kDomain), samples::kNode}, now_);
  session_ = &core_->on_connected(now_, {});
  settle();
  Bytes came;
  while (session_ && came.size() < bytes_max) {
    if (const Bytes said = session_->take_output(1 << 20); !said.empty())
      server.receive(said, now_);
    for (session::ServerEvent& event : server.take_events())
      if (const auto* needed = std::get_if<session::server_event::ArtifactNeeded>(&event)) {
        if (auto artifact = fixture.prepare(*needed))
          server.artifact_ready(needed->ticket, std::move(*artifact));
        else
          server.inventory_unclear(needed->ticket);
      }
    Bytes answer = server.take_output(limits::kChunkBytesMax);
    answer.resize(std::min(answer.size(), bytes_max - came.size()));
    if (answer.empty()) break;
    came += answer;
    // Delivered in pieces of any size, as from sockets.
    for (ByteView rest = answer; !rest.empty() && session_;) {
      const ByteView piece = rest.substr(0, 1 + random.below(100'000));
      rest.remove_prefix(piece.size());
      session_->receive(piece, now_);
      settle();
    }
  }
  if (session_) {
    session_->on_cut(now_);
    settle();
  }
  return came;
}

uint64_t StagingNode::stored_version() const {
  return core_->status().ledgers.front().stored_version;
}

void StagingNode::settle() {
  if (session_) core_->on_session_progress(now_);
  run_effects();
  while (const auto step = core_->next_staging()) {
    if (const auto* piece = std::get_if<store::StagedPiece>(&*step))
      REQUIRE(staging_.write(*piece));
    else
      staging_.drop(std::get<agent::DropStaged>(*step).ledger);
  }
  if (!session_ || !session_->is_closed()) return;
  session_ = nullptr;
  core_->on_disconnected(std::nullopt, now_);
  run_effects();
}

std::optional<Error> StagingNode::load(const agent::DesiredState& state) {
  for (const auto& [ledger, release] : state) {
    if (refused_.contains(release.version))
      return Error{ErrorCode::kPdpRejected, "refused by the test", {}};
    const auto tree = store_->tree(ledger, release.version);
    if (!tree) return tree.error();
    if (published_)
      CHECK((*tree)->content_root() == published_->at(release.version).tree->content_root());
    for (const auto& [path, file] : (*tree)->files()) {
      const auto content = store_->blob(file.hash);
      if (!content) return content.error();
      if (published_) CHECK(**content == *published_->at(release.version).blobs.at(file.hash));
    }
  }
  return std::nullopt;
}

void StagingNode::run_effects() {
  for (auto effects = core_->take_effects(); !effects.empty(); effects = core_->take_effects())
    for (const agent::AgentEffect& effect : effects) {
      if (std::holds_alternative<agent::effect::Connect>(effect)) dialled_ = true;
      if (const auto* install = std::get_if<agent::effect::Install>(&effect))
        core_->on_installed(agent::install_release(install->request, *store_), now_);
      if (const auto* scan = std::get_if<agent::effect::ScanContent>(&effect))
        core_->on_content_scan(scan->request, agent::scan_content(scan->request, *store_), now_);
      if (const auto* activate = std::get_if<agent::effect::Activate>(&effect))
        core_->on_pdp(activate->desired, load(activate->desired), now_);
      if (const auto* persist = std::get_if<agent::effect::Persist>(&effect))
        REQUIRE(store::apply_change(*store_, persist->change));
    }
}

}  // namespace notp
