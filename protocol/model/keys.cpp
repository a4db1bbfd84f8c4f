#include "protocol/model/keys.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/jose/private_members.hpp"

namespace notp::model {
namespace {

std::string_view text_of(const json::object& key, std::string_view name) {
  const json::value* const value = key.if_contains(name);
  return value && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

std::string name_of(const json::object& key, size_t index) {
  const auto kid = text_of(key, "kid");
  return kid.empty() ? fmt::format("keys[{}]", index)
                     : fmt::format("keys[{}] (kid {})", index, printable(kid, 80));
}

void check_key(const json::object& key, size_t index, std::vector<KeyFinding>& findings) {
  const std::string name = name_of(key, index);
  for (const std::string_view member : jose::kPrivateMembers)
    if (key.contains(member))
      findings.push_back(
          {"keys-private",
           fmt::format("{} has the private member \"{}\": take it out, and replace the key, which "
                       "others may have seen by now",
                       name, member)});
  if (text_of(key, "kty") == "oct")
    findings.push_back({"keys-private", fmt::format("{} is a symmetric key (kty oct), which is all "
                                                    "secret: take it out",
                                                    name)});
}

}  // namespace

bool is_key_set_path(std::string_view path) {
  constexpr std::string_view kFront = "keys/", kBack = "/data.json";
  return path.starts_with(kFront) && path.ends_with(kBack) &&
         path.size() > kFront.size() + kBack.size() && std::ranges::count(path, '/') == 2;
}

std::vector<KeyFinding> check_key_set(const json::value& document) {
  const json::object* const set = document.if_object();
  const json::value* const keys = set ? set->if_contains("keys") : nullptr;
  if (!keys || !keys->is_array())
    return {
        {"keys-format", "not a JWK Set: an object with an array \"keys\" (RFC 7517 section 5)"}};
  std::vector<KeyFinding> findings;
  for (size_t i = 0; const json::value& key : keys->get_array()) {
    if (key.is_object())
      check_key(key.get_object(), i, findings);
    else if (key.is_string() || key.is_array())  // it could contain a private key
      findings.push_back({"keys-format", fmt::format("keys[{}] is not an object", i)});
    ++i;
  }
  return findings;
}

std::string key_set_place(std::string_view path) {
  constexpr std::string_view kFront = "keys/";
  if (!path.starts_with(kFront)) return {};
  std::string_view inside = path.substr(kFront.size());
  const size_t slash = inside.rfind('/') == std::string_view::npos ? 0 : inside.rfind('/') + 1;
  const std::string_view stem = inside.substr(slash, inside.find('.', slash) - slash);
  const bool is_common = stem.empty() || stem == "data" || stem == "jwks" || stem == "keys";
  std::string issuer(inside.substr(0, slash == 0 ? 0 : slash - 1));
  if (!is_common) issuer += (issuer.empty() ? "" : "/") + std::string(stem);
  if (issuer.empty()) issuer = "issuer";
  std::ranges::replace(issuer, '/', '-');
  return fmt::format("{}{}/data.json", kFront, issuer);
}

}  // namespace notp::model
