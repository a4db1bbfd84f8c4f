#include "protocol/trust/freshness.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <ranges>

#include "common/limits.hpp"
#include "protocol/model/spiffe_id.hpp"
#include "protocol/trust/proto_codec.hpp"
#include "protocol/trust/statement_rules.hpp"
#include "protocol/trust/statements.hpp"
#include "schemas/model.pb.h"

namespace notp::trust {
namespace {

// Checks the form of an identity's URI; the reader knows which one it must be.
bool good_audience(std::string_view audience, std::string_view trust_domain) {
  const auto id = model::SpiffeId::parse(audience);
  return id && id->trust_domain == trust_domain;
}

Result<void> check_fresh_head(const FreshHead& head) {
  const auto refuse_head = [&](std::string_view why) {
    return refuse("freshness", fmt::format("{}: {}", head.ledger.text(), why));
  };
  if (auto ok = head.ledger.check(); !ok) return refuse("freshness", ok.error());
  if (head.epoch > limits::kVersionMax) return refuse_head("epoch is out of range");
  if (head.version > limits::kVersionMax) return refuse_head("version is out of range");
  if (head.version == 0 &&
      (head.epoch != 0 || !head.release_hash.is_zero() || !head.withdrawn.empty()))
    return refuse_head("a ledger without a release has an epoch, a release or withdrawn ones");
  if (head.version != 0 && head.release_hash.is_zero()) return refuse_head("release is missing");
  if (head.withdrawn.size() > limits::kWithdrawnMax)
    return refuse_head("too many withdrawn releases");
  if (!strictly_ascending(head.withdrawn))
    return refuse_head("withdrawn is not sorted, or a release is there twice");
  return {};
}

// The rules for the fields that freshness statements and assignments share.
template <typename Statement>
Result<void> check_common(std::string_view who, const Statement& statement, TimeMs lifetime_max) {
  if (auto ok = model::check_trust_domain(statement.trust_domain); !ok)
    return refuse(who, ok.error());
  // Reserves a range above: sequences begin with the time in milliseconds.
  if (!in_range(statement.sequence, 1, limits::kVersionMax))
    return refuse(who, "sequence is missing or out of range");
  if (!in_range(statement.root_version, 1, limits::kVersionMax))
    return refuse(who, "root_version is missing or out of range");
  NOTP_TRY(check_times(who, statement.issued_ms, statement.expires_ms));
  if (statement.expires_ms == 0) return refuse(who, "expires_ms is missing");
  if (statement.expires_ms - statement.issued_ms > lifetime_max)
    return refuse(who, "expires_ms is too long after issued_ms");
  return {};
}

Result<void> check_audience_form(std::string_view who, std::string_view audience,
                                 std::string_view trust_domain) {
  if (good_audience(audience, trust_domain)) return {};
  return refuse(who, "audience is not the URI of an identity of the trust domain");
}

Result<void> check_freshness(const Freshness& f) {
  constexpr std::string_view kWho = "freshness";
  NOTP_TRY(check_common(kWho, f, limits::kFreshnessLifetimeMsMax));
  if (!f.class_id) NOTP_TRY(check_audience_form(kWho, f.audience, f.trust_domain));
  if (f.heads.size() > limits::kLedgersPerSessionMax) return refuse(kWho, "too many heads");
  for (const FreshHead& head : f.heads) NOTP_TRY(check_fresh_head(head));
  if (!strictly_ascending(f.heads | std::views::transform(&FreshHead::ledger)))
    return refuse(kWho, "heads are not sorted, or a ledger is there twice");
  return {};
}

Result<void> check_assignment(const Assignment& a) {
  constexpr std::string_view kWho = "assignment";
  NOTP_TRY(check_common(kWho, a, limits::kAssignmentLifetimeMsMax));
  return check_audience_form(kWho, a.audience, a.trust_domain);
}

Result<ClassId> decode_class(std::string_view who, const std::string& bytes) {
  auto id = ClassId::from_bytes(bytes);
  if (!id) return refuse(who, id.error());
  return id;
}

Result<FreshHead> decode_fresh_head(const model::v1::FreshHead& m) {
  FreshHead out{{m.zone(), m.ledger()}, m.epoch(), m.version(), {}, {}};
  const auto hash_of = [](const std::string& bytes) -> Result<Hash> {
    const auto hash = Hash::from_bytes(bytes);
    if (!hash || hash->is_zero())
      return refuse("freshness", "a release is not the 32 bytes of a release hash");
    return *hash;
  };
  if (!m.release().empty()) {
    NOTP_ASSIGN(out.release_hash, hash_of(m.release()));
  }
  for (const std::string& bytes : m.withdrawn()) {
    NOTP_ASSIGN(const Hash hash, hash_of(bytes));
    out.withdrawn.push_back(hash);
  }
  return out;
}

// Freshness and ClassFreshness differ in one field.
void put_reader(model::v1::Freshness& out, const Freshness& f) { out.set_audience(f.audience); }
void put_reader(model::v1::ClassFreshness& out, const Freshness& f) {
  out.set_class_id(Bytes(f.class_id->view()));
}
Result<void> take_reader(Freshness& out, const model::v1::Freshness& m) {
  out.audience = m.audience();
  return {};
}
Result<void> take_reader(Freshness& out, const model::v1::ClassFreshness& m) {
  NOTP_ASSIGN(out.class_id, decode_class("freshness", m.class_id()));
  return {};
}

template <typename Proto>
Bytes encode_as(const Freshness& f) {
  Proto m;
  m.set_trust_domain(f.trust_domain);
  put_reader(m, f);
  m.set_sequence(f.sequence);
  m.set_root_version(f.root_version);
  m.set_issued_ms(f.issued_ms);
  m.set_expires_ms(f.expires_ms);
  for (const FreshHead& head : f.heads) {
    model::v1::FreshHead* out = m.add_heads();
    out->set_zone(head.ledger.zone);
    out->set_ledger(head.ledger.name);
    out->set_epoch(head.epoch);
    out->set_version(head.version);
    if (!head.release_hash.is_zero()) out->set_release(Bytes(head.release_hash.view()));
    for (const Hash& hash : head.withdrawn) out->add_withdrawn(Bytes(hash.view()));
  }
  return serialize(m);
}

template <typename Proto>
Result<Freshness> decode_as(ByteView payload) {
  Proto m;
  if (!parse(payload, m)) return refuse("freshness", kNotProtobuf);
  Freshness f;
  f.trust_domain = m.trust_domain();
  NOTP_TRY(take_reader(f, m));
  f.sequence = m.sequence();
  f.root_version = m.root_version();
  f.issued_ms = m.issued_ms();
  f.expires_ms = m.expires_ms();
  for (const model::v1::FreshHead& entry : m.heads()) {
    NOTP_ASSIGN(FreshHead head, decode_fresh_head(entry));
    f.heads.push_back(std::move(head));
  }
  NOTP_TRY(check_freshness(f));
  if (f.encode() != payload) return refuse("freshness", kNotCanonical);
  return f;
}

}  // namespace

Bytes Freshness::encode() const {
  return class_id ? encode_as<model::v1::ClassFreshness>(*this)
                  : encode_as<model::v1::Freshness>(*this);
}

Result<Freshness> Freshness::decode(ByteView payload) {
  return decode_as<model::v1::Freshness>(payload);
}

Result<Freshness> Freshness::decode(const Envelope& envelope) {
  return envelope.payload_type == kClassFreshnessType
             ? decode_as<model::v1::ClassFreshness>(envelope.payload)
             : decode(envelope.payload);
}

Bytes Assignment::encode() const {
  model::v1::Assignment m;
  m.set_trust_domain(trust_domain);
  m.set_audience(audience);
  m.set_class_id(Bytes(class_id.view()));
  m.set_sequence(sequence);
  m.set_root_version(root_version);
  m.set_issued_ms(issued_ms);
  m.set_expires_ms(expires_ms);
  return serialize(m);
}

Result<Assignment> Assignment::decode(ByteView payload) {
  constexpr std::string_view kWho = "assignment";
  model::v1::Assignment m;
  if (!parse(payload, m)) return refuse(kWho, kNotProtobuf);
  Assignment a;
  a.trust_domain = m.trust_domain();
  a.audience = m.audience();
  NOTP_ASSIGN(a.class_id, decode_class(kWho, m.class_id()));
  a.sequence = m.sequence();
  a.root_version = m.root_version();
  a.issued_ms = m.issued_ms();
  a.expires_ms = m.expires_ms();
  NOTP_TRY(check_assignment(a));
  if (a.encode() != payload) return refuse(kWho, kNotCanonical);
  return a;
}

Result<Envelope> decode_freshness_envelope(ByteView bytes) {
  NOTP_ASSIGN(Envelope envelope, Envelope::decode(bytes));
  if (envelope.payload_type == kClassFreshnessType) return envelope;
  return decode_envelope(bytes, kFreshnessType);
}

Envelope envelope_of(const Freshness& freshness) {
  return {freshness.encode(), std::string(freshness.payload_type()), {}};
}

Envelope envelope_of(const Assignment& assignment) {
  return {assignment.encode(), std::string(kAssignmentType), {}};
}

}  // namespace notp::trust
