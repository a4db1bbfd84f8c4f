#include "protocol/session/freshness_update.hpp"

#include <fmt/format.h>

#include <map>

#include "common/assert.hpp"
#include "common/limits.hpp"

namespace notp::session {
namespace {

using Heads = std::map<model::LedgerId, trust::FreshHead>;

Heads heads_of(const trust::Freshness* statement) {
  Heads out;
  if (statement == nullptr) return out;
  for (const trust::FreshHead& head : statement->heads) out.emplace(head.ledger, head);
  return out;
}

std::unexpected<Error> impossible(std::string_view why) {
  return fail(ErrorCode::kMessage, fmt::format("FreshnessUpdate: {}", why));
}

Result<Heads> changed_heads(Heads heads, const wire::FreshnessUpdate& update) {
  if (update.heads.size() > limits::kLedgersPerSessionMax) return impossible("too many heads");
  for (const model::LedgerId& ledger : update.gone)
    if (heads.erase(ledger) == 0)
      return impossible(fmt::format("{} is gone and was not there", ledger.text()));
  std::map<model::LedgerId, bool> seen;
  for (const wire::FreshnessHead& head : update.heads) {
    if (!seen.emplace(head.ledger, true).second)
      return impossible(fmt::format("{} is there twice", head.ledger.text()));
    heads[head.ledger] = {head.ledger, head.epoch, head.version, head.release_hash, head.withdrawn};
  }
  return heads;
}

}  // namespace

wire::FreshnessUpdate make_freshness_update(const trust::Freshness& next, ByteView signature,
                                            const trust::Freshness* base) {
  NOTP_ASSERT(base == nullptr || base->class_id == next.class_id,
              "a statement builds on one for the same readers");
  wire::FreshnessUpdate out{
      .sequence = next.sequence,
      .base_sequence = base != nullptr ? base->sequence : 0,
      .issued_ms = next.issued_ms,
      .lifetime_ms = static_cast<uint64_t>(next.expires_ms - next.issued_ms),
      .root_version =
          base != nullptr && base->root_version == next.root_version ? 0 : next.root_version,
      .heads = {},
      .gone = {},
      .signature = Bytes(signature),
      .of_class = next.class_id.has_value(),
  };
  Heads before = heads_of(base);
  for (const trust::FreshHead& head : next.heads) {
    const auto old = before.find(head.ledger);
    const bool same = old != before.end() && old->second == head;
    if (old != before.end()) before.erase(old);
    if (!same)
      out.heads.push_back(
          {head.ledger, head.epoch, head.version, head.release_hash, head.withdrawn});
  }
  for (const auto& [ledger, head] : before) out.gone.push_back(ledger);
  return out;
}

Result<trust::Envelope> expand_freshness_update(const wire::FreshnessUpdate& update,
                                                const trust::Freshness* base,
                                                std::string_view trust_domain,
                                                std::string_view audience,
                                                std::optional<trust::ClassId> class_id) {
  if (update.of_class && !class_id)
    return fail(ErrorCode::kWrongTarget,
                "a freshness statement for a class, before any assignment to one");
  if (!update.of_class) class_id.reset();
  if (base != nullptr && base->class_id != class_id) base = nullptr;
  if (update.base_sequence == 0) base = nullptr;
  if (update.base_sequence != 0 && (base == nullptr || base->sequence != update.base_sequence))
    return fail(ErrorCode::kState,
                fmt::format("a FreshnessUpdate on statement {}, which was not the last one",
                            update.base_sequence));
  if (update.issued_ms <= 0 || update.issued_ms > limits::kTimestampMsMax ||
      update.lifetime_ms > static_cast<uint64_t>(limits::kFreshnessLifetimeMsMax))
    return impossible("issued_ms or lifetime_ms is out of range");
  if (update.signature.size() != kSignatureBytes) return impossible("the signature's length");
  trust::Freshness statement;
  statement.trust_domain = trust_domain;
  if (class_id)
    statement.class_id = class_id;
  else
    statement.audience = audience;
  statement.sequence = update.sequence;
  statement.root_version = update.root_version;
  if (update.root_version == 0 && base != nullptr) statement.root_version = base->root_version;
  statement.issued_ms = update.issued_ms;
  statement.expires_ms = update.issued_ms + static_cast<TimeMs>(update.lifetime_ms);
  NOTP_ASSIGN(Heads heads, changed_heads(heads_of(base), update));
  for (auto& [ledger, head] : heads) statement.heads.push_back(std::move(head));
  trust::Envelope envelope = trust::envelope_of(statement);
  if (auto good = trust::Freshness::decode(envelope); !good)
    return impossible(good.error().message);
  envelope.signatures.push_back({update.signature, {}});
  return envelope;
}

}  // namespace notp::session
