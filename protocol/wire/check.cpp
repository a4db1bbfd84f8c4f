#include "protocol/wire/check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "common/limits.hpp"
#include "common/signature.hpp"

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

Result<void> check_head(const ReleaseRef& head) {
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
  NOTP_TRY(require(want.pending_hash.is_zero() || want.version != 0,
                   "a pending release is wanted without its version"));
  NOTP_TRY(require(want.lacks.size() <= limits::kLacksMax, "too many contents are lacking"));
  NOTP_TRY(
      require(std::ranges::none_of(want.lacks, &Hash::is_zero), "a lacking content has no hash"));
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
  NOTP_TRY(require(welcome.heads.size() <= limits::kLedgersPerSessionMax, "too many heads"));
  NOTP_TRY(require(welcome.refusals.size() <= limits::kLedgersPerSessionMax, "too many refusals"));
  for (const ReleaseRef& head : welcome.heads) NOTP_TRY(check_head(head));
  for (const Refusal& refusal : welcome.refusals) NOTP_TRY(check_ledger(refusal.ledger));
  return {};
}

Result<void> check_partial(const PartialBase& partial) {
  NOTP_TRY(require(!partial.content_root.is_zero(), "a partial base has no content root"));
  return require(partial.without.size() % kLeafBytes == 0, "a leaf is not 8 bytes long");
}

Result<void> check_named_offer(const Offer& offer) {
  NOTP_TRY(check_ledger(offer.ledger));
  NOTP_TRY(require(offer.subscription == 0 && offer.behind == 0,
                   "an offer with a ledger and for a subscription"));
  if (offer.base) NOTP_TRY(check_base(*offer.base));
  NOTP_TRY(require(!offer.artifact.is_zero(), "no artifact id"));
  return offer.partial ? check_partial(*offer.partial) : Result<void>{};
}

Result<void> check_short_offer(const Offer& offer) {
  NOTP_TRY(require(!offer.base && !offer.partial && offer.content_root.is_zero(),
                   "an offer for a subscription with what its reader has"));
  NOTP_TRY(require(offer.behind < offer.version, "the base is before the first release"));
  return require(offer.offset == 0 || !offer.artifact.is_zero(), "no artifact id with an offset");
}

Result<void> check_of(const Offer& offer) {
  NOTP_TRY(check_release(offer.version, "offered version"));
  NOTP_TRY(offer.is_short() ? check_short_offer(offer) : check_named_offer(offer));
  NOTP_TRY(require(offer.size <= limits::kArtifactBytesMax, "the artifact is too large"));
  return require(offer.offset <= offer.size, "the offset is past the artifact's end");
}

Result<void> check_of(const Chunk& chunk) {
  NOTP_TRY(require(!chunk.bytes.empty(), "an empty chunk"));
  return require(chunk.bytes.size() <= limits::kChunkBytesMax, "the chunk is too long");
}

Result<void> check_of(const Commit& commit) {
  if (!commit.is_short()) {
    NOTP_TRY(check_ledger(commit.ledger));
    NOTP_TRY(require(commit.subscription == 0, "a report with a ledger and of a subscription"));
  }
  return check_release(commit.version, "committed version");
}

Result<void> check_of(const WantMore& more) {
  NOTP_TRY(require(!more.wants.empty(), "no want"));
  return check_wants(more.wants);
}

Result<void> check_of(const InventoryRequest&) { return {}; }

Result<void> check_of(const Inventory& inventory) {
  NOTP_TRY(require(inventory.files <= limits::kInventoryLeavesMax, "an inventory is too long"));
  NOTP_TRY(require(inventory.list.empty() || inventory.sketch.empty(),
                   "an inventory is listed and sketched"));
  return require(!inventory.sketch.empty() || inventory.list.size() == inventory.files * kLeafBytes,
                 "an inventory has another number of leaves than it says");
}

Result<void> check_signature(ByteView signature) {
  return require(signature.size() == kSignatureBytes, "a signature is not 64 bytes long");
}

Result<void> check_envelope(ByteView envelope) {
  NOTP_TRY(require(!envelope.empty(), "an empty envelope"));
  return require(envelope.size() <= limits::kEnvelopeBytesMax, "an envelope is too long");
}

Result<void> check_roots(const std::vector<Bytes>& roots) {
  NOTP_TRY(require(roots.size() <= limits::kRootStepsMax, "too many roots"));
  for (const Bytes& envelope : roots) NOTP_TRY(check_envelope(envelope));
  return {};
}

Result<void> check_of(const RootUpdate& update) { return check_envelope(update.envelope); }

Result<void> check_freshness_head(const FreshnessHead& head) {
  NOTP_TRY(check_ledger(head.ledger));
  NOTP_TRY(check_release_or_none(head.version, "head version"));
  NOTP_TRY(require(head.release_hash.is_zero() == (head.version == 0),
                   "a head has a release hash exactly when it has a release"));
  NOTP_TRY(require(head.epoch <= limits::kVersionMax, "an epoch is out of range"));
  const std::vector<Hash>& withdrawn = head.withdrawn;
  NOTP_TRY(require(head.version != 0 || (head.epoch == 0 && withdrawn.empty()),
                   "a head without a release has an epoch, or withdrawn ones"));
  NOTP_TRY(require(withdrawn.size() <= limits::kWithdrawnMax, "too many withdrawn releases"));
  NOTP_TRY(require(withdrawn.empty() || !withdrawn.front().is_zero(),
                   "a withdrawn release has no hash"));
  return require(std::ranges::adjacent_find(withdrawn, std::greater_equal{}) == withdrawn.end(),
                 "withdrawn releases are not in ascending order");
}

Result<void> check_of(const FreshnessUpdate& update) {
  NOTP_TRY(require(update.sequence <= limits::kVersionMax, "a sequence is out of range"));
  NOTP_TRY(require(update.root_version <= limits::kVersionMax, "a root version is out of range"));
  NOTP_TRY(require(update.base_sequence < update.sequence, "a sequence is not above its base's"));
  NOTP_TRY(require(update.base_sequence != 0 || (update.root_version != 0 && update.gone.empty()),
                   "a statement without a base lacks a root version, or takes heads away"));
  NOTP_TRY(require(update.issued_ms > 0 && update.issued_ms <= limits::kTimestampMsMax,
                   "no such instant"));
  NOTP_TRY(require(update.lifetime_ms > 0 &&
                       update.lifetime_ms <= static_cast<uint64_t>(limits::kFreshnessLifetimeMsMax),
                   "a lifetime is outside its limit"));
  NOTP_TRY(require(update.heads.size() <= limits::kLedgersPerSessionMax, "too many heads"));
  NOTP_TRY(require(update.gone.size() <= limits::kLedgersPerSessionMax, "too many heads are gone"));
  std::vector<LedgerId> named;
  for (const FreshnessHead& head : update.heads) {
    NOTP_TRY(check_freshness_head(head));
    named.push_back(head.ledger);
  }
  for (const LedgerId& ledger : update.gone) {
    NOTP_TRY(check_ledger(ledger));
    named.push_back(ledger);
  }
  std::ranges::sort(named);
  NOTP_TRY(require(std::ranges::adjacent_find(named) == named.end(), "a ledger comes twice"));
  return check_signature(update.signature);
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
  NOTP_TRY(require(result.warnings.size() <= limits::kFindingsMax, "too many warnings"));
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
Result<void> check_of(const LedgersQuery& query) {
  return query.after ? check_ledger(*query.after) : Result<void>{};
}
Result<void> check_of(const RootsQuery&) { return {}; }
Result<void> check_of(const PublishRoot& order) { return check_envelope(order.envelope); }
Result<void> check_of(const Withdraw& order) {
  NOTP_TRY(check_ledger(order.ledger));
  return check_release(order.version, "withdrawn version");
}
Result<void> check_of(const PendingQuery& query) {
  if (query.ledger) NOTP_TRY(check_ledger(*query.ledger));
  if (!query.after) return {};
  NOTP_TRY(check_ledger(query.after->ledger));
  return require(!query.after->release_hash.is_zero(), "no release hash");
}
Result<void> check_of(const Cosign& order) {
  NOTP_TRY(check_ledger(order.ledger));
  NOTP_TRY(require(!order.release_hash.is_zero(), "no release hash"));
  return check_signature(order.signature);
}
Result<void> check_of(const DropPending& order) {
  NOTP_TRY(check_ledger(order.ledger));
  return require(!order.release_hash.is_zero(), "no release hash");
}
Result<void> check_of(const TrustQuery&) { return {}; }
// Whether the node may have this name for so long is the registry's answer.
Result<void> check_of(const NewJoinToken& order) {
  NOTP_TRY(require(!order.node.empty(), "no node"));
  NOTP_TRY(require(order.node.size() <= limits::kNameBytesMax, "the node's name is too long"));
  return require(order.lifetime_ms <= static_cast<uint64_t>(limits::kTimestampMsMax),
                 "a lifetime is past any instant");
}

Result<void> check_request(ByteView request) {
  NOTP_TRY(require(!request.empty(), "no certificate request"));
  return require(request.size() <= limits::kCertificateRequestBytesMax,
                 "the certificate request is too long");
}
Result<void> check_of(const RenewCertificate& order) { return check_request(order.request); }

Result<void> check_of(const Query& query) {
  return std::visit([](const auto& what) { return check_of(what); }, query.what);
}

Result<void> check_pending(const PendingRow& row) {
  NOTP_TRY(check_ledger(row.ledger));
  NOTP_TRY(check_release(row.version, "pending version"));
  NOTP_TRY(require(!row.release_hash.is_zero(), "a pending release has no hash"));
  return check_envelope(row.envelope);
}

Result<void> check_certificate(const Certificate& certificate) {
  NOTP_TRY(require(!certificate.certificate.empty(), "no certificate"));
  NOTP_TRY(require(!certificate.authorities.empty(), "no authority"));
  NOTP_TRY(require(certificate.certificate.size() <= limits::kPemBytesMax,
                   "the certificate is too long"));
  return require(certificate.authorities.size() <= limits::kPemBytesMax,
                 "the authorities are too long");
}

// The outcome of an order.
Result<void> check_outcome(const Answer& answer) {
  const int parts = answer.published.has_value() + answer.trust.has_value() +
                    !answer.join_token.empty() + answer.certificate.has_value();
  NOTP_TRY(require(parts <= 1, "an answer to more than one question"));
  if (answer.published) NOTP_TRY(check_of(*answer.published));
  if (answer.trust && answer.trust->deny_list) NOTP_TRY(check_ledger(*answer.trust->deny_list));
  NOTP_TRY(require(answer.join_token.size() <= limits::kJoinTokenBytesMax,
                   "the join token is too long"));
  return answer.certificate ? check_certificate(*answer.certificate) : Result<void>{};
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
  for (const ReleaseRef& head : answer.ledgers) NOTP_TRY(check_head(head));
  NOTP_TRY(require(answer.damaged.size() <= limits::kLedgersMax, "too many damaged ledgers"));
  for (const Refusal& refusal : answer.damaged) NOTP_TRY(check_ledger(refusal.ledger));
  NOTP_TRY(require(answer.pending.size() <= limits::kQueryRowsMax, "too many pending releases"));
  for (const PendingRow& row : answer.pending) NOTP_TRY(check_pending(row));
  NOTP_TRY(check_roots(answer.root_chain));
  return check_outcome(answer);
}

Result<void> check_of(const Join& join) {
  NOTP_TRY(require(!join.token.empty(), "no join token"));
  NOTP_TRY(require(join.token.size() <= limits::kJoinTokenBytesMax, "the join token is too long"));
  return check_request(join.request);
}

Result<void> check_of(const Joined& joined) {
  NOTP_TRY(check_certificate(joined.certificate));
  NOTP_TRY(require(!joined.root_chain.empty(), "no root"));
  return check_roots(joined.root_chain);
}

constexpr std::string_view kNames[] = {
    "Hello",      "Welcome",         "Offer", "Chunk",   "Commit",           "WantMore", "Ping",
    "Pong",       "Error",           "Bye",   "Publish", "PublishResult",    "Query",    "Answer",
    "RootUpdate", "FreshnessUpdate", "Join",  "Joined",  "InventoryRequest", "Inventory"};
static_assert(std::size(kNames) == std::variant_size_v<Message>);

}  // namespace

Result<void> check(const Message& message) {
  auto checked = std::visit([](const auto& m) { return check_of(m); }, message);
  if (checked) return {};
  return std::unexpected(std::move(checked).error().in(kNames[message.index()]));
}

}  // namespace notp::wire
