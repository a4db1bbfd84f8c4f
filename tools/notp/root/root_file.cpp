#include "tools/notp/root/root_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "protocol/trust/root_expiry.hpp"

namespace notp::cli {
namespace {

using Keys = std::vector<PublicKey>;

template <typename T>
bool has(const std::vector<T>& values, const T& value) {
  return std::ranges::find(values, value) != values.end();
}

std::vector<std::string> keyids(const Keys& keys) {
  std::vector<std::string> ids;
  ids.reserve(keys.size());
  for (const PublicKey& key : keys) ids.push_back(key.keyid());
  return ids;
}

json::array text_array(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

std::string time_or_never(TimeMs time_ms) { return time_ms == 0 ? "never" : utc_time(time_ms); }

const trust::Delegation* find_delegation(const trust::Root& root, const std::string& pattern) {
  const auto found = std::ranges::find(root.delegations, pattern, &trust::Delegation::pattern);
  return found == root.delegations.end() ? nullptr : &*found;
}

// The order of the patterns decides which one applies.
std::vector<std::string> common_patterns(const trust::Root& root, const trust::Root& other) {
  std::vector<std::string> patterns;
  for (const trust::Delegation& delegation : root.delegations)
    if (find_delegation(other, delegation.pattern)) patterns.push_back(delegation.pattern);
  return patterns;
}

bool is_for_keys(const trust::Delegation& delegation) {
  return delegation.content == trust::ContentRule::kKeys;
}

// Empty: none.
std::string restriction_of(const trust::Delegation& delegation) {
  return is_for_keys(delegation) ? "key sets alone" : "";
}

class RootComparison {
 public:
  void value(std::string subject, std::string before, std::string after) {
    if (before != after)
      changes_.push_back({std::move(subject), std::move(before), std::move(after)});
  }
  void keys(const std::string& subject, const Keys& before, const Keys& after) {
    for (const PublicKey& key : before)
      if (!has(after, key)) changes_.push_back({subject, key.keyid(), {}});
    for (const PublicKey& key : after)
      if (!has(before, key)) changes_.push_back({subject, {}, key.keyid()});
  }
  void delegations(const trust::Root& before, const trust::Root& after) {
    for (const trust::Delegation& old : before.delegations)
      if (!find_delegation(after, old.pattern)) delegation(old.pattern, &old, nullptr);
    for (const trust::Delegation& next : after.delegations)
      delegation(next.pattern, find_delegation(before, next.pattern), &next);
    value("order of the patterns",
          fmt::format("{}", fmt::join(common_patterns(before, after), " ")),
          fmt::format("{}", fmt::join(common_patterns(after, before), " ")));
  }
  std::vector<RootChange> take() { return std::move(changes_); }

 private:
  void delegation(const std::string& pattern, const trust::Delegation* before,
                  const trust::Delegation* after) {
    static const trust::Delegation kNone{{}, {}, 0};
    const trust::Delegation &old = before ? *before : kNone, &next = after ? *after : kNone;
    keys(fmt::format("publisher key of {}", pattern), old.keys, next.keys);
    const auto number = [](const trust::Delegation* d) {
      return d ? std::to_string(d->threshold) : std::string();
    };
    value(fmt::format("threshold of {}", pattern), number(before), number(after));
    value(fmt::format("content of {}", pattern), restriction_of(old), restriction_of(next));
    value(fmt::format("data roots of {}", pattern),
          fmt::format("{}", fmt::join(old.data_roots, " ")),
          fmt::format("{}", fmt::join(next.data_roots, " ")));
  }

  std::vector<RootChange> changes_;
};

std::string lane_keyid(const trust::Root& root) {
  return root.lane_key ? root.lane_key->keyid() : std::string();
}

SignerCount count_of(const trust::Envelope& envelope, const Keys& keys, uint32_t threshold) {
  SignerCount count{{}, {}, threshold};
  for (const PublicKey& key : keys)
    (trust::count_signers(envelope, {&key, 1}) == 1 ? count.signed_by : count.missing)
        .push_back(key.keyid());
  return count;
}

std::string signer_line(const SignerCount& count) {
  std::string text = fmt::format("{} of {} needed", count.signed_by.size(), count.threshold);
  if (!count.signed_by.empty()) text += fmt::format(": {}", fmt::join(count.signed_by, " "));
  if (count.needed() > 0)
    text += fmt::format("; {} more needed, of: {}", count.needed(), fmt::join(count.missing, " "));
  return text;
}

json::object signer_json(const SignerCount& count) {
  return {{"threshold", count.threshold},
          {"signed_by", text_array(count.signed_by)},
          {"missing", text_array(count.missing)},
          {"needed", count.needed()}};
}

std::string publishers_text(const trust::Root& root) {
  if (root.delegations.empty()) return "Publishers: none; nothing can be published.\n";
  std::vector<std::pair<std::string, std::string>> rows;
  rows.reserve(root.delegations.size());
  for (const trust::Delegation& delegation : root.delegations) {
    std::string who = fmt::format("{} of {}: {}", delegation.threshold, delegation.keys.size(),
                                  fmt::join(keyids(delegation.keys), " "));
    if (is_for_keys(delegation)) who += "; " + restriction_of(delegation);
    if (!delegation.data_roots.empty())
      who += fmt::format("; data roots {} alone", fmt::join(delegation.data_roots, " "));
    rows.emplace_back(delegation.pattern, std::move(who));
  }
  return "Publishers, the first pattern that matches a ledger counts:\n" + facts(rows);
}

std::string signers_text(const trust::Root& root, const RootSigners& signers) {
  std::vector<std::pair<std::string, std::string>> rows;
  if (signers.previous)
    rows.emplace_back(fmt::format("keys of root {}", root.version - 1),
                      signer_line(*signers.previous));
  rows.emplace_back(fmt::format("keys of root {}", root.version), signer_line(signers.own));
  if (!signers.others.empty())
    rows.emplace_back("not checked", fmt::format("{} (keys of another root: give --previous)",
                                                 fmt::join(signers.others, " ")));
  return "Signatures:\n" + facts(rows);
}

}  // namespace

bool RootFile::is_signed() const {
  return trust::verify_pinned_root(bytes, root.trust_domain).has_value();
}

Result<RootFile> read_root_file(const std::filesystem::path& path) {
  RootFile file;
  file.path = path;
  NOTP_ASSIGN(file.bytes, read_file(path, limits::kEnvelopeBytesMax));
  auto envelope = trust::Envelope::decode(file.bytes);
  if (!envelope) return std::unexpected(std::move(envelope).error().in(path.string()));
  file.envelope = *std::move(envelope);
  if (file.envelope.payload_type != trust::kRootType)
    return fail(ErrorCode::kEnvelope,
                fmt::format("{}: a statement of type '{}', not a root", path.string(),
                            printable(file.envelope.payload_type)));
  auto root = trust::Root::decode(file.envelope.payload);
  if (!root) return std::unexpected(std::move(root).error().in(path.string()));
  file.root = *std::move(root);
  return file;
}

Result<RootFile> read_signed_root(const std::filesystem::path& path) {
  NOTP_ASSIGN(RootFile file, read_root_file(path));
  const auto verified = trust::verify_pinned_root(file.bytes, file.root.trust_domain);
  if (!verified) return std::unexpected(Error(verified.error()).in(path.string()));
  return file;
}

std::vector<RootChange> compare_root_statements(const trust::Root& before,
                                                const trust::Root& after) {
  RootComparison comparison;
  comparison.value("epoch", std::to_string(before.epoch), std::to_string(after.epoch));
  comparison.value("expires", time_or_never(before.expires_ms), time_or_never(after.expires_ms));
  comparison.keys("root key", before.root_keys, after.root_keys);
  comparison.value("root threshold", std::to_string(before.root_threshold),
                   std::to_string(after.root_threshold));
  comparison.keys("freshness key", before.freshness_keys, after.freshness_keys);
  comparison.value("lane key", lane_keyid(before), lane_keyid(after));
  comparison.delegations(before, after);
  return comparison.take();
}

Result<RootSigners> root_signers(const trust::Envelope& envelope, const trust::Root& root,
                                 const trust::Root* previous) {
  RootSigners signers{count_of(envelope, root.root_keys, root.root_threshold), {}, {}};
  Keys known = root.root_keys;
  if (previous) {
    signers.previous = count_of(envelope, previous->root_keys, previous->root_threshold);
    known.insert(known.end(), previous->root_keys.begin(), previous->root_keys.end());
  }
  const Bytes message = trust::pre_authentication_encoding(envelope.payload_type, envelope.payload);
  for (const trust::EnvelopeSignature& signature : envelope.signatures) {
    const bool valid = std::ranges::any_of(known, [&](const PublicKey& key) {
      return verify_signature(key, message, signature.signature);
    });
    if (valid) continue;
    if (has(keyids(known), signature.keyid))
      return fail(ErrorCode::kSignature,
                  fmt::format("the signature by key {} is not of this statement: it was changed "
                              "after it was signed",
                              printable(signature.keyid)));
    signers.others.push_back(printable(signature.keyid));
  }
  return signers;
}

Result<void> check_root_step(const trust::Root& next, const trust::Root& previous) {
  if (next.trust_domain != previous.trust_domain)
    return fail(ErrorCode::kWrongTarget, fmt::format("a root of '{}' cannot follow one of '{}'",
                                                     next.trust_domain, previous.trust_domain));
  if (next.version != previous.version + 1)
    return fail(next.version <= previous.version ? ErrorCode::kRollback : ErrorCode::kRootInvalid,
                fmt::format("root {} does not follow root {}: each is one above the one before",
                            next.version, previous.version));
  if (next.epoch < previous.epoch)
    return fail(ErrorCode::kRollback,
                fmt::format("epoch {} after epoch {}: it never falls", next.epoch, previous.epoch));
  return {};
}

std::string root_changes_text(const Output& output, const std::vector<RootChange>& changes) {
  std::string text;
  for (const RootChange& change : changes) {
    std::string line;
    if (change.before.empty())
      line = output.paint(Colour::kGreen, fmt::format("+ {} {}", change.subject, change.after));
    else if (change.after.empty())
      line = output.paint(Colour::kRed, fmt::format("- {} {}", change.subject, change.before));
    else
      line = output.paint(Colour::kYellow, fmt::format("~ {}: {} -> {}", change.subject,
                                                       change.before, change.after));
    text += fmt::format("  {}\n", line);
  }
  return text;
}

std::string root_text(const Output& output, const trust::Root& root, const RootSigners& signers,
                      const trust::Root* previous, TimeMs now_ms) {
  std::string expires = time_or_never(root.expires_ms);
  if (root.expires_ms != 0 && now_ms >= root.expires_ms) expires += " (expired)";
  std::string text = fmt::format("Root {} of {}\n", root.version, root.trust_domain);
  text += facts(
      {{"epoch", std::to_string(root.epoch)},
       {"issued", utc_time(root.issued_ms)},
       {"expires", expires},
       {"root keys", fmt::format("{} of {}: {}", root.root_threshold, root.root_keys.size(),
                                 fmt::join(keyids(root.root_keys), " "))},
       {"freshness keys", root.freshness_keys.empty()
                              ? "none"
                              : fmt::format("{}", fmt::join(keyids(root.freshness_keys), " "))},
       {"lane key", root.lane_key ? root.lane_key->keyid() : "none"}});
  text += publishers_text(root);
  if (previous) {
    const auto changes = compare_root_statements(*previous, root);
    text += changes.empty() ? fmt::format("Nothing differs from root {}.\n", previous->version)
                            : fmt::format("Changes since root {}:\n{}", previous->version,
                                          root_changes_text(output, changes));
  }
  return text + signers_text(root, signers);
}

json::object root_json(const trust::Root& root, const RootSigners& signers,
                       const trust::Root* previous, TimeMs now_ms) {
  json::array delegations;
  for (const trust::Delegation& delegation : root.delegations)
    delegations.push_back(json::object{{"pattern", delegation.pattern},
                                       {"threshold", delegation.threshold},
                                       {"keyids", text_array(keyids(delegation.keys))},
                                       {"content", is_for_keys(delegation) ? "keys" : "any"},
                                       {"data_roots", text_array(delegation.data_roots)}});
  json::object object{{"trust_domain", root.trust_domain},
                      {"version", root.version},
                      {"epoch", root.epoch},
                      {"issued", utc_time(root.issued_ms)},
                      {"root_threshold", root.root_threshold},
                      {"root_keyids", text_array(keyids(root.root_keys))},
                      {"freshness_keyids", text_array(keyids(root.freshness_keys))},
                      {"signers", signers.own.signed_by.size()},
                      {"delegations", std::move(delegations)},
                      {"signatures", json::object{{"own", signer_json(signers.own)}}},
                      {"complete", signers.complete()}};
  if (root.lane_key) object["lane_keyid"] = root.lane_key->keyid();
  if (root.expires_ms != 0) object["expires"] = utc_time(root.expires_ms);
  object["expired"] = root.expires_ms != 0 && now_ms >= root.expires_ms;
  object["root_expiry"] = trust::root_expiry_name(trust::root_expiry(root.expires_ms, now_ms));
  if (!previous) return object;
  object["signatures"].as_object()["previous"] = signer_json(*signers.previous);
  json::array changes;
  for (const RootChange& change : compare_root_statements(*previous, root))
    changes.push_back(json::object{
        {"subject", change.subject}, {"before", change.before}, {"after", change.after}});
  object["previous_version"] = previous->version;
  object["changes"] = std::move(changes);
  return object;
}

}  // namespace notp::cli
