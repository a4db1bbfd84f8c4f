#include "protocol/trust/statements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <set>

#include "common/limits.hpp"
#include "protocol/trust/proto_codec.hpp"
#include "protocol/trust/statement_rules.hpp"
#include "schemas/model.pb.h"

namespace notp::trust {
namespace {

// For a field that restricts what a statement allows, or that belongs to a feature that this
// program lacks.
std::unexpected<Error> not_supported(std::string_view statement, std::string_view field) {
  return refuse(statement, fmt::format("{} is set, which this version of NOTP does not support; "
                                       "update it, or leave the field out",
                                       field));
}

Result<void> check_source(const Source& source) {
  if (!is_commit_id(source.commit))
    return refuse("release", "source.commit is not the hash of a commit");
  const std::pair<std::string_view, std::string_view> texts[] = {
      {"repository", source.repository}, {"ref", source.ref}, {"signer", source.signer}};
  for (const auto& [name, text] : texts) {
    const bool is_printable =
        std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
    if (text.size() > limits::kSourceTextBytesMax || !is_printable)
      return refuse("release", fmt::format("source.{} is too long or not printable", name));
  }
  return {};
}

Result<void> check_uses(const Release& r) {
  if (r.uses.size() > limits::kUsesMax) return refuse("release", "too many uses");
  for (const model::LedgerUse& use : r.uses) {
    if (auto ok = use.ledger.check(); !ok) return refuse("release", ok.error());
    if (!in_range(use.version, 1, limits::kVersionMax))
      return refuse("release", "a version in uses is out of range");
    if (use.ledger == r.ledger) return refuse("release", "it uses its own ledger");
  }
  if (!strictly_ascending(r.uses | std::views::transform(&model::LedgerUse::ledger)))
    return refuse("release", "uses are not sorted, or a ledger is there twice");
  return {};
}

Result<void> check_accept_by(const Release& r) {
  if (r.accept_by_ms == 0) return {};
  if (r.accept_by_ms <= r.issued_ms || r.accept_by_ms > limits::kTimestampMsMax)
    return refuse("release", "accept_by_ms is not after issued_ms or out of range");
  return not_supported("release", "accept_by_ms");
}

Result<void> check_release(const Release& r) {
  constexpr std::string_view kWho = "release";
  if (auto ok = model::check_trust_domain(r.trust_domain); !ok) return refuse(kWho, ok.error());
  if (auto ok = r.ledger.check(); !ok) return refuse(kWho, ok.error());
  if (r.epoch > limits::kVersionMax) return refuse(kWho, "epoch is out of range");
  if (!in_range(r.version, 1, limits::kVersionMax))
    return refuse(kWho, fmt::format("version is not within 1 and {}", limits::kVersionMax));
  if (r.previous_hash.is_zero() != (r.version == 1))
    return refuse(kWho, "previous is absent at version 1 and 32 bytes after it");
  if (r.content_root.is_zero()) return refuse(kWho, "content_root is zero");
  if (r.total_bytes > limits::kModelBytesMax) return refuse(kWho, "total_bytes is over the limit");
  if (!in_range(r.file_count, 1, limits::kModelFilesMax))
    return refuse(kWho, "file_count is zero or over the limit");
  if (r.data_roots.size() > limits::kRootsMax) return refuse(kWho, "too many roots");
  for (size_t i = 0; i < r.data_roots.size(); ++i) {
    if (r.data_roots[i].size() > limits::kPathBytesMax) return refuse(kWho, "a root is too long");
    if (i > 0 && r.data_roots[i - 1] >= r.data_roots[i])
      return refuse(kWho, "roots are not sorted, or one is there twice");
  }
  NOTP_TRY(check_times(kWho, r.issued_ms, r.expires_ms));
  if (r.fresh_s == 0) return refuse(kWho, "fresh_s is missing");
  if (!in_range(r.hard_s, r.fresh_s, limits::kHardSecondsMax))
    return refuse(kWho, "hard_s is below fresh_s or out of range");
  if (r.on_hard != OnHard::kDeny && r.on_hard != OnHard::kServe)
    return refuse(kWho, "on_hard is neither deny nor serve");
  if (r.source) NOTP_TRY(check_source(*r.source));
  NOTP_TRY(check_accept_by(r));
  return check_uses(r);
}

// Accepts one half of a pattern: characters of `allowed`, or '*' at its end.
bool good_half(std::string_view half, std::string_view allowed) {
  if (half.ends_with('*')) return half.find_first_not_of(allowed) == half.size() - 1;
  return !half.empty() && half.find_first_not_of(allowed) == half.npos;
}

bool good_pattern(std::string_view pattern) {
  const size_t slash = pattern.find('/');
  if (slash == pattern.npos || pattern.size() > limits::kNameBytesMax + 13) return false;
  return good_half(pattern.substr(0, slash), "0123456789") &&
         good_half(pattern.substr(slash + 1), "abcdefghijklmnopqrstuvwxyz0123456789._-");
}

Result<void> check_keys(const std::vector<PublicKey>& keys, uint32_t threshold,
                        std::string_view what) {
  if (keys.size() > limits::kRootKeysMax)
    return refuse("root", fmt::format("{} names too many keys", what));
  if (std::set<PublicKey>(keys.begin(), keys.end()).size() != keys.size())
    return refuse("root", fmt::format("{} names one key twice", what));
  if (!in_range(threshold, 1, keys.size()))
    return refuse("root", fmt::format("{} asks for {} of {} keys", what, threshold, keys.size()));
  return {};
}

struct OnlineKey {
  std::string_view name;
  PublicKey key;
};

std::vector<OnlineKey> online_keys(const Root& r) {
  std::vector<OnlineKey> keys;
  for (const PublicKey& key : r.freshness_keys) keys.push_back({"a freshness key", key});
  if (r.lane_key) keys.push_back({"lane_key", *r.lane_key});
  if (r.audit_key) keys.push_back({"audit_key", *r.audit_key});
  return keys;
}

// A thief of a key that is online must not be able to sign anything else.
Result<void> check_online_keys(const Root& r) {
  if (r.freshness_keys.size() > limits::kFreshnessKeysMax)
    return refuse("root", "too many freshness_keys");
  const auto among = [](const PublicKey& key, const std::vector<PublicKey>& keys) {
    return std::ranges::find(keys, key) != keys.end();
  };
  std::set<PublicKey> seen;
  for (const auto& [name, key] : online_keys(r)) {
    if (!seen.insert(key).second)
      return refuse("root", fmt::format("{} is named twice among the online keys", name));
    if (among(key, r.root_keys))
      return refuse("root", fmt::format("{} is a root key, too; it lives online and must sign "
                                        "nothing else",
                                        name));
    for (const Delegation& delegation : r.delegations)
      if (among(key, delegation.keys))
        return refuse("root", fmt::format("{} may publish '{}', too; it lives online and must sign "
                                          "nothing else",
                                          name, delegation.pattern));
  }
  if (r.audit_key) return not_supported("root", "audit_key");
  return {};
}

// Accepts "a/b", or "a/*" for the roots below; segments as in a data path.
bool good_data_root(std::string_view pattern) {
  if (pattern.empty() || pattern.size() > limits::kPathBytesMax) return false;
  if (pattern.front() == '/' || pattern.back() == '/' || pattern.contains("//")) return false;
  const size_t star = pattern.find('*');
  return star == pattern.npos ||
         (star == pattern.size() - 1 && (star == 0 || pattern[star - 1] == '/'));
}

Result<void> check_restrictions(const Delegation& delegation) {
  if (delegation.data_roots.size() > limits::kRootsMax ||
      !std::ranges::all_of(delegation.data_roots, good_data_root) ||
      !strictly_ascending(delegation.data_roots))
    return refuse("root", fmt::format("data_roots of the delegation '{}' are too many, not sorted, "
                                      "or no patterns of data roots",
                                      delegation.pattern));
  if (delegation.content != ContentRule::kAny && delegation.content != ContentRule::kKeys)
    return refuse("root", "content is neither any nor keys");
  return {};
}

Result<void> check_root(const Root& r) {
  constexpr std::string_view kWho = "root";
  if (auto ok = model::check_trust_domain(r.trust_domain); !ok) return refuse(kWho, ok.error());
  if (!in_range(r.version, 1, limits::kVersionMax)) return refuse(kWho, "version is out of range");
  if (r.epoch > limits::kVersionMax) return refuse(kWho, "epoch is out of range");
  NOTP_TRY(check_times(kWho, r.issued_ms, r.expires_ms));
  NOTP_TRY(check_keys(r.root_keys, r.root_threshold, "root_keys"));
  if (r.delegations.size() > limits::kDelegationsMax) return refuse(kWho, "too many delegations");
  for (const Delegation& delegation : r.delegations) {
    if (!good_pattern(delegation.pattern))
      return refuse(kWho, fmt::format("'{}' is not a pattern of <zone>/<ledger>",
                                      delegation.pattern.substr(0, limits::kNameBytesMax)));
    NOTP_TRY(check_keys(delegation.keys, delegation.threshold,
                        fmt::format("the delegation '{}'", delegation.pattern)));
    NOTP_TRY(check_restrictions(delegation));
  }
  return check_online_keys(r);
}

template <typename Keys>
Result<std::vector<PublicKey>> decode_keys(const Keys& keys) {
  std::vector<PublicKey> out;
  for (const std::string& bytes : keys) {
    auto key = PublicKey::from_bytes(bytes);
    if (!key) return refuse("root", key.error());
    out.push_back(*key);
  }
  return out;
}

Result<std::optional<PublicKey>> decode_optional_key(const std::string& bytes,
                                                     std::string_view name) {
  if (bytes.empty()) return std::nullopt;
  const auto key = PublicKey::from_bytes(bytes);
  if (!key) return refuse("root", fmt::format("{} is not 32 bytes", name));
  return *key;
}

}  // namespace

bool data_root_covers(std::string_view pattern, std::string_view root) {
  const bool below_only = pattern.ends_with('*');
  if (below_only) pattern.remove_suffix(1);  // "a/" or "": the prefix of the roots below
  if (below_only) return root.size() > pattern.size() && root.starts_with(pattern);
  return root.starts_with(pattern) &&
         (root.size() == pattern.size() || root[pattern.size()] == '/');
}

bool is_commit_id(std::string_view text) {
  constexpr size_t kSha1Digits = 40, kSha256Digits = 64;
  return (text.size() == kSha1Digits || text.size() == kSha256Digits) &&
         text.find_first_not_of("0123456789abcdef") == text.npos;
}

Bytes Release::encode() const {
  model::v1::Release m;
  m.set_trust_domain(trust_domain);
  m.set_zone(ledger.zone);
  m.set_ledger(ledger.name);
  m.set_epoch(epoch);
  m.set_version(version);
  if (!previous_hash.is_zero()) m.set_previous(Bytes(previous_hash.view()));
  m.set_content_root(Bytes(content_root.view()));
  m.set_total_bytes(total_bytes);
  m.set_file_count(file_count);
  for (const std::string& root : data_roots) m.add_roots(root);
  m.set_issued_ms(issued_ms);
  m.set_expires_ms(expires_ms);
  m.set_fresh_s(fresh_s);
  m.set_hard_s(hard_s);
  m.set_on_hard(static_cast<model::v1::OnHard>(on_hard));
  if (source) {
    model::v1::Source* out = m.mutable_source();
    out->set_repository(source->repository);
    out->set_ref(source->ref);
    out->set_commit(source->commit);
    out->set_signer(source->signer);
  }
  m.set_accept_by_ms(accept_by_ms);
  for (const model::LedgerUse& use : uses) {
    model::v1::Use* out = m.add_uses();
    out->set_zone(use.ledger.zone);
    out->set_ledger(use.ledger.name);
    out->set_version(use.version);
  }
  return serialize(m);
}

Result<Release> Release::decode(ByteView payload) {
  model::v1::Release m;
  if (!parse(payload, m)) return refuse("release", kNotProtobuf);
  Release r;
  r.trust_domain = m.trust_domain();
  r.ledger = {m.zone(), m.ledger()};
  r.epoch = m.epoch();
  r.version = m.version();
  const auto content_root = Hash::from_bytes(m.content_root());
  if (!content_root) return refuse("release", "content_root is not 32 bytes");
  r.content_root = *content_root;
  if (!m.previous().empty()) {
    const auto previous = Hash::from_bytes(m.previous());
    if (!previous || previous->is_zero())
      return refuse("release", "previous is not the 32 bytes of a release hash");
    r.previous_hash = *previous;
  }
  r.total_bytes = m.total_bytes();
  r.file_count = m.file_count();
  r.data_roots.assign(m.roots().begin(), m.roots().end());
  r.issued_ms = m.issued_ms();
  r.expires_ms = m.expires_ms();
  r.fresh_s = m.fresh_s();
  r.hard_s = m.hard_s();
  // Compared as a number first: an enum value from a newer writer does not fit one byte.
  if (!in_range(static_cast<uint64_t>(m.on_hard()), 1, 2))
    return refuse("release", "on_hard is neither deny nor serve");
  r.on_hard = static_cast<OnHard>(m.on_hard());
  if (m.has_source())
    r.source = {m.source().repository(), m.source().ref(), m.source().commit(),
                m.source().signer()};
  r.accept_by_ms = m.accept_by_ms();
  for (const model::v1::Use& use : m.uses())
    r.uses.push_back({{use.zone(), use.ledger()}, use.version()});
  NOTP_TRY(check_release(r));
  if (r.encode() != payload) return refuse("release", kNotCanonical);
  return r;
}

Bytes Root::encode() const {
  model::v1::Root m;
  m.set_trust_domain(trust_domain);
  m.set_version(version);
  m.set_epoch(epoch);
  m.set_issued_ms(issued_ms);
  m.set_expires_ms(expires_ms);
  for (const PublicKey& key : root_keys) m.add_root_keys(Bytes(key.view()));
  m.set_root_threshold(root_threshold);
  for (const Delegation& delegation : delegations) {
    model::v1::Delegation* out = m.add_delegations();
    out->set_pattern(delegation.pattern);
    for (const PublicKey& key : delegation.keys) out->add_keys(Bytes(key.view()));
    out->set_threshold(delegation.threshold);
    out->set_content(static_cast<model::v1::Content>(delegation.content));
    for (const std::string& root : delegation.data_roots) out->add_data_roots(root);
  }
  for (const PublicKey& key : freshness_keys) m.add_freshness_keys(Bytes(key.view()));
  if (lane_key) m.set_lane_key(Bytes(lane_key->view()));
  if (audit_key) m.set_audit_key(Bytes(audit_key->view()));
  return serialize(m);
}

Result<Root> Root::decode(ByteView payload) {
  model::v1::Root m;
  if (!parse(payload, m)) return refuse("root", kNotProtobuf);
  Root r;
  r.trust_domain = m.trust_domain();
  r.version = m.version();
  r.epoch = m.epoch();
  r.issued_ms = m.issued_ms();
  r.expires_ms = m.expires_ms();
  NOTP_ASSIGN(r.root_keys, decode_keys(m.root_keys()));
  r.root_threshold = m.root_threshold();
  for (const model::v1::Delegation& entry : m.delegations()) {
    NOTP_ASSIGN(std::vector<PublicKey> keys, decode_keys(entry.keys()));
    // Compared as a number first: an enum value from a newer writer does not fit one byte.
    if (!in_range(static_cast<uint64_t>(entry.content()), 0, 1))
      return refuse("root", "content is neither any nor keys");
    r.delegations.push_back({entry.pattern(),
                             std::move(keys),
                             entry.threshold(),
                             static_cast<ContentRule>(entry.content()),
                             {entry.data_roots().begin(), entry.data_roots().end()}});
  }
  NOTP_ASSIGN(r.freshness_keys, decode_keys(m.freshness_keys()));
  NOTP_ASSIGN(r.lane_key, decode_optional_key(m.lane_key(), "lane_key"));
  NOTP_ASSIGN(r.audit_key, decode_optional_key(m.audit_key(), "audit_key"));
  NOTP_TRY(check_root(r));
  if (r.encode() != payload) return refuse("root", kNotCanonical);
  return r;
}

bool Root::drops_freshness_key(const Root& next) const {
  return std::ranges::any_of(freshness_keys, [&](const PublicKey& key) {
    return std::ranges::find(next.freshness_keys, key) == next.freshness_keys.end();
  });
}

const Delegation* Root::delegation_for(const model::LedgerId& ledger) const {
  const auto found = std::ranges::find_if(
      delegations, [&](const Delegation& d) { return model::ledger_matches(d.pattern, ledger); });
  return found == delegations.end() ? nullptr : &*found;
}

Result<void> check_type_is_read(std::string_view payload_type) {
  if (payload_type != "application/vnd.notp.release.v1" &&
      payload_type != "application/vnd.notp.root.v1")
    return {};
  return fail(ErrorCode::kEnvelope,
              fmt::format("'{}' is of an earlier version of NOTP and not read any more: make the "
                          "root anew ('notp root init'), move the data folders of the registry and "
                          "its agents away, and publish again",
                          payload_type));
}

Result<void> check_is_read(ByteView envelope) {
  const auto decoded = Envelope::decode(envelope);
  return decoded ? check_type_is_read(decoded->payload_type) : Result<void>();
}

Result<Envelope> decode_envelope(ByteView bytes, std::string_view type) {
  NOTP_ASSIGN(Envelope envelope, Envelope::decode(bytes));
  NOTP_TRY(check_type_is_read(envelope.payload_type));
  if (envelope.payload_type != type)
    return fail(ErrorCode::kEnvelope, fmt::format("an envelope of type '{}' where '{}' is expected",
                                                  printable(envelope.payload_type), type));
  return envelope;
}

std::string source_text(const Source& source) {
  std::string text = source.commit;
  if (!source.ref.empty()) text += " of " + source.ref;
  if (!source.repository.empty()) text += " in " + source.repository;
  if (!source.signer.empty()) text += ", signed by " + source.signer;
  return text;
}

Hash release_hash(ByteView payload) {
  static constexpr ByteView kTag{"notp.release.v2\0", 16};
  return Sha256().update(kTag).update(payload).finish();
}

ReleaseRef ref_of(const Release& release, const Hash& hash) {
  return {release.ledger, release.epoch, release.version, hash, release.content_root};
}

Envelope envelope_of(const Release& release) {
  return {release.encode(), std::string(kReleaseType), {}};
}

Envelope envelope_of(const Root& root) { return {root.encode(), std::string(kRootType), {}}; }

}  // namespace notp::trust
