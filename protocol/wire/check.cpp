#include "protocol/wire/check.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"

namespace notp::wire {
namespace {

Result<void> require(bool holds, std::string_view rule) {
  return holds ? Result<void>{} : fail(ErrorCode::kMessage, std::string(rule));
}

Result<void> check_ledger(const LedgerId& ledger) {
  auto checked = ledger.check();
  if (checked) return {};
  return fail(ErrorCode::kMessage, "ledger: " + checked.error().message);
}

Result<void> check_release(uint64_t version, std::string_view what) {
  if (version >= 1 && version <= limits::kVersionMax) return {};
  return fail(ErrorCode::kMessage,
              fmt::format("{} {} is outside 1 to {}", what, version, limits::kVersionMax));
}

// A field where 0 stands for "none".
Result<void> check_release_or_none(uint64_t version, std::string_view what) {
  return version == 0 ? Result<void>{} : check_release(version, what);
}

Result<void> check_base(const Base& base) {
  NOTP_TRY(check_release(base.version, "base version"));
  return require(!base.content_root.is_zero(), "a base has no content root");
}

Result<void> check_head(const Head& head) {
  NOTP_TRY(check_ledger(head.ledger));
  NOTP_TRY(check_release_or_none(head.version, "head version"));
  const bool released = head.version != 0;
  NOTP_TRY(require(head.release_hash.is_zero() != released,
                   "a head has a release hash exactly when it has a release"));
  return require(head.content_root.is_zero() != released,
                 "a head has a content root exactly when it has a release");
}

Result<void> check_want(const Want& want) {
  NOTP_TRY(check_ledger(want.ledger));
  NOTP_TRY(check_release_or_none(want.version, "wanted version"));
  NOTP_TRY(require(want.older.size() <= limits::kOlderBasesMax, "too many older bases"));
  if (want.base) NOTP_TRY(check_base(*want.base));
  for (const Base& base : want.older) NOTP_TRY(check_base(base));
  if (!want.resume) return {};
  NOTP_TRY(require(!want.resume->artifact.is_zero(), "a resume token has no artifact"));
  return require(want.resume->offset <= limits::kArtifactBytesMax,
                 "a resume offset is past any artifact");
}

Result<void> check_wants(const std::vector<Want>& wants) {
  NOTP_TRY(require(wants.size() <= limits::kLedgersPerSessionMax, "too many wants"));
  for (const Want& want : wants) NOTP_TRY(check_want(want));
  return {};
}

Result<void> check_of(const Hello& hello) {
  NOTP_TRY(require(!hello.versions.empty(), "no protocol version"));
  NOTP_TRY(
      require(hello.versions.size() <= limits::kProtocolVersionsMax, "too many protocol versions"));
  return check_wants(hello.wants);
}

Result<void> check_of(const Welcome& welcome) {
  NOTP_TRY(require(welcome.version != 0, "no protocol version"));
  if (auto named = check_trust_domain(welcome.trust_domain); !named)
    return fail(ErrorCode::kMessage, std::move(named).error().message);
  NOTP_TRY(require(welcome.root_envelope.size() <= limits::kEnvelopeBytesMax,
                   "the root envelope is too long"));
  NOTP_TRY(require(welcome.heads.size() <= limits::kLedgersPerSessionMax, "too many heads"));
  NOTP_TRY(require(welcome.refusals.size() <= limits::kLedgersPerSessionMax, "too many refusals"));
  for (const Head& head : welcome.heads) NOTP_TRY(check_head(head));
  for (const Refusal& refusal : welcome.refusals) NOTP_TRY(check_ledger(refusal.ledger));
  return {};
}

Result<void> check_of(const Offer& offer) {
  NOTP_TRY(check_ledger(offer.ledger));
  NOTP_TRY(check_release(offer.version, "offered version"));
  if (offer.base) NOTP_TRY(check_base(*offer.base));
  NOTP_TRY(require(!offer.artifact.is_zero(), "no artifact id"));
  NOTP_TRY(require(offer.size <= limits::kArtifactBytesMax, "the artifact is too large"));
  return require(offer.offset <= offer.size, "the offset is past the artifact's end");
}

Result<void> check_of(const Chunk& chunk) {
  NOTP_TRY(require(!chunk.bytes.empty(), "an empty chunk"));
  return require(chunk.bytes.size() <= limits::kChunkBytesMax, "the chunk is too long");
}

Result<void> check_of(const Commit& commit) {
  NOTP_TRY(check_ledger(commit.ledger));
  return check_release(commit.version, "committed version");
}

Result<void> check_of(const WantMore& more) {
  NOTP_TRY(require(!more.wants.empty(), "no want"));
  return check_wants(more.wants);
}

Result<void> check_of(const Ping&) { return {}; }
Result<void> check_of(const Pong&) { return {}; }
Result<void> check_of(const ErrorMessage&) { return {}; }
Result<void> check_of(const Bye&) { return {}; }

Result<void> check_of(const Publish& publish) {
  NOTP_TRY(check_ledger(publish.ledger));
  NOTP_TRY(check_release(publish.version, "published version"));
  if (publish.base) NOTP_TRY(check_base(*publish.base));
  return require(publish.size <= limits::kArtifactBytesMax, "the artifact is too large");
}

Result<void> check_of(const PublishResult& result) {
  NOTP_TRY(check_release_or_none(result.version, "published version"));
  NOTP_TRY(require(result.findings.size() <= limits::kFindingsMax, "too many findings"));
  return result.head ? check_head(*result.head) : Result<void>{};
}

Result<void> check_of(const HistoryQuery& query) {
  NOTP_TRY(check_ledger(query.ledger));
  NOTP_TRY(check_release_or_none(query.below_version, "version"));
  return require(query.rows_max <= limits::kQueryRowsMax, "too many rows asked for");
}
Result<void> check_of(const NodesQuery& query) {
  NOTP_TRY(require(query.after.size() <= limits::kIdentityBytesMax, "the identity is too long"));
  return require(query.rows_max <= limits::kQueryRowsMax, "too many rows asked for");
}
Result<void> check_of(const LedgersQuery&) { return {}; }

Result<void> check_of(const Query& query) {
  return std::visit([](const auto& what) { return check_of(what); }, query.what);
}

Result<void> check_of(const Answer& answer) {
  NOTP_TRY(require(answer.history.size() <= limits::kQueryRowsMax, "too many history rows"));
  NOTP_TRY(require(answer.nodes.size() <= limits::kQueryRowsMax, "too many nodes"));
  NOTP_TRY(require(answer.ledgers.size() <= limits::kLedgersMax, "too many ledgers"));
  for (const HistoryRow& row : answer.history) {
    NOTP_TRY(check_release(row.version, "version"));
    NOTP_TRY(require(!row.release_hash.is_zero() && !row.content_root.is_zero(),
                     "a history row has no hash"));
    NOTP_TRY(require(row.envelope.size() <= limits::kEnvelopeBytesMax, "an envelope is too long"));
  }
  for (const NodeRow& node : answer.nodes) {
    NOTP_TRY(require(node.ledgers.size() <= limits::kLedgersPerSessionMax,
                     "a node has too many ledgers"));
    for (const NodeLedger& held : node.ledgers) NOTP_TRY(check_ledger(held.ledger));
  }
  for (const Head& head : answer.ledgers) NOTP_TRY(check_head(head));
  return {};
}

constexpr std::string_view kNames[] = {"Hello",    "Welcome",       "Offer", "Chunk", "Commit",
                                       "WantMore", "Ping",          "Pong",  "Error", "Bye",
                                       "Publish",  "PublishResult", "Query", "Answer"};
static_assert(std::size(kNames) == std::variant_size_v<Message>);

}  // namespace

Result<void> check(const Message& message) {
  auto checked = std::visit([](const auto& m) { return check_of(m); }, message);
  if (checked) return {};
  return std::unexpected(std::move(checked).error().in(kNames[message.index()]));
}

}  // namespace notp::wire
