#include "notp-server/sources/key_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "common/jose/jose_limits.hpp"
#include "common/jose/jwk.hpp"
#include "notp-server/sources/document.hpp"

namespace notp::sources {
namespace {

constexpr size_t kShownKidBytes = 80;

std::string_view text_of(const json::object& key, std::string_view name) {
  const json::value* const value = key.if_contains(name);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                : std::string_view();
}

std::string name_of(const json::object& key, size_t index) {
  const std::string_view kid = text_of(key, "kid");
  return kid.empty() ? fmt::format("keys[{}]", index)
                     : fmt::format("keys[{}] (kid {})", index, printable(kid, kShownKidBytes));
}

// A key for encryption that leaks is a leak as well.
Result<void> check_is_public(const json::value& key, size_t index) {
  const json::object* const members = key.if_object();
  if (members == nullptr)
    return refuse("key-set.not-a-key", fmt::format("keys[{}] is not an object", index));
  if (text_of(*members, "kty") == "oct")
    return refuse(std::string(kSymmetricKeyRule),
                  fmt::format("{} is a symmetric key (kty oct), which is all secret: the provider "
                              "must replace it",
                              name_of(*members, index)));
  const std::string_view member = jose::private_member_of(*members);
  if (member.empty()) return {};
  return refuse(std::string(kPrivateMemberRule),
                fmt::format("{} has the private member \"{}\": the key has leaked, and the "
                            "provider must replace it",
                            name_of(*members, index), member));
}

// RFC 7517 §5: a set may have keys of kinds that its reader does not know.
bool is_known_kind(std::string_view kty) {
  return kty.empty() || kty == "RSA" || kty == "EC" || kty == "OKP";
}

bool is_wanted(const jose::PublicJwk& key, std::span<const jose::Algorithm> algorithms) {
  // Engines do not know this curve, and refuse a whole set for one key on it.
  if (key.crv() == "Ed448") return false;
  if (!key.is_for_signatures()) return false;
  return algorithms.empty() || std::ranges::any_of(algorithms, [&](jose::Algorithm algorithm) {
           return key.fits(algorithm);
         });
}

struct Entry {
  std::string kid, thumbprint;
  json::object members;
};

Result<std::vector<Entry>> read_keys(const json::array& keys,
                                     std::span<const jose::Algorithm> algorithms) {
  for (size_t i = 0; i < keys.size(); ++i) NOTP_TRY(check_is_public(keys[i], i));
  std::vector<Entry> out;
  for (size_t i = 0; i < keys.size(); ++i) {
    const json::object& members = keys[i].get_object();
    // Its algorithm is one for encryption, and its kty may be one that signs nothing.
    if (text_of(members, "use") == "enc" || !is_known_kind(text_of(members, "kty"))) continue;
    const auto key = jose::PublicJwk::parse(members);
    if (!key)
      return refuse("key-set.bad-key",
                    fmt::format("{}: {}", name_of(members, i), key.error().message));
    if (is_wanted(*key, algorithms))
      out.push_back({key->kid(), key->thumbprint(), key->canonical()});
  }
  return out;
}

Result<void> check_distinct(const std::vector<Entry>& sorted) {
  for (size_t i = 1; i < sorted.size(); ++i) {
    const Entry &before = sorted[i - 1], &entry = sorted[i];
    if (entry.kid != before.kid) continue;
    if (!entry.kid.empty())
      return refuse("key-set.same-kid",
                    fmt::format("two keys have the kid {}", printable(entry.kid, kShownKidBytes)));
    if (entry.thumbprint == before.thumbprint)
      return refuse("key-set.same-key", "one key stands twice, without a kid");
  }
  return {};
}

}  // namespace

bool AcceptedKeySet::has(std::string_view kid) const {
  return std::ranges::binary_search(kids, kid);
}

Result<AcceptedKeySet> accept_key_set(ByteView text, std::string_view issuer,
                                      std::span<const jose::Algorithm> algorithms) {
  NOTP_ASSIGN(const json::object document, read_document(text, jose::kKeySetBytesMax, "key-set"));
  const json::value* const keys = document.if_contains("keys");
  if (keys == nullptr || !keys->is_array())
    return refuse("key-set.no-keys", "there is no array \"keys\" (RFC 7517 section 5)");
  if (keys->get_array().size() > jose::kKeysMax)
    return refuse("key-set.too-many-keys", fmt::format("the set has {} keys, more than {}",
                                                       keys->get_array().size(), jose::kKeysMax));
  NOTP_ASSIGN(std::vector<Entry> entries, read_keys(keys->get_array(), algorithms));
  std::ranges::sort(entries, {},
                    [](const Entry& entry) { return std::tie(entry.kid, entry.thumbprint); });
  NOTP_TRY(check_distinct(entries));
  if (entries.empty()) return refuse("key-set.empty", "the set has no key for signatures");
  AcceptedKeySet out;
  json::array canonical;
  for (Entry& entry : entries) {
    out.kids.push_back(std::move(entry.kid));
    canonical.emplace_back(std::move(entry.members));
  }
  out.document =
      pretty_json(json::object{{"issuer", issuer}, {"keys", std::move(canonical)}}) + "\n";
  return out;
}

std::vector<std::string> kids_in(ByteView document) {
  std::vector<std::string> out;
  const auto value = parse_json(document);
  const json::object* const set = value ? value->if_object() : nullptr;
  const json::value* const keys = set != nullptr ? set->if_contains("keys") : nullptr;
  if (keys == nullptr || !keys->is_array() || keys->get_array().size() > jose::kKeysMax) return {};
  for (const json::value& key : keys->get_array()) {
    const json::object* const members = key.if_object();
    const std::string_view kid = members != nullptr ? text_of(*members, "kid") : std::string_view();
    if (kid.size() <= jose::kKidBytesMax) out.emplace_back(kid);
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace notp::sources
