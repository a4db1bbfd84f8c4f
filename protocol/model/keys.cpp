#include "protocol/model/keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

namespace notp {
namespace {

// RFC 7518 §6.2.2, §6.3.2, §6.4.1; RFC 8037 §2; "priv" of AKP keys.
constexpr std::array<std::string_view, 9> kPrivateMembers = {"d",  "p",   "q", "dp",  "dq",
                                                             "qi", "oth", "k", "priv"};

std::span<const std::string_view> public_members(std::string_view kty) {
  static constexpr std::array<std::string_view, 2> kRsa = {"n", "e"};
  static constexpr std::array<std::string_view, 3> kEc = {"crv", "x", "y"};
  static constexpr std::array<std::string_view, 2> kOkp = {"crv", "x"};
  if (kty == "RSA") return kRsa;
  if (kty == "EC") return kEc;
  if (kty == "OKP") return kOkp;
  return {};
}

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
  for (const std::string_view member : kPrivateMembers)
    if (key.contains(member))
      findings.push_back(
          {"keys-private",
           fmt::format("{} has the private member \"{}\": take it out, and replace the key, which "
                       "others may have seen by now",
                       name, member)});
  const std::string_view kty = text_of(key, "kty");
  const auto unusable = [&](std::string why) {
    findings.push_back({"keys-unusable",
                        fmt::format("{} {}: readers ignore it (RFC 7517 section 5)", name, why),
                        /*is_warning=*/true});
  };
  if (kty == "oct")
    findings.push_back({"keys-private", fmt::format("{} is a symmetric key (kty oct), which is all "
                                                    "secret: take it out",
                                                    name)});
  if (kty.empty()) return unusable("has no \"kty\"");
  const auto members = public_members(kty);
  if (members.empty() && kty != "oct")
    return unusable(
        fmt::format("is of the type \"{}\", which is not known here", printable(kty, 80)));
  for (const std::string_view member : members)
    if (text_of(key, member).empty())
      unusable(fmt::format("of type {} has no \"{}\"", kty, member));
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
    else if (key.is_string() || key.is_array())  // a private key could stand in it
      findings.push_back({"keys-format", fmt::format("keys[{}] is not an object", i)});
    else
      findings.push_back(
          {"keys-unusable",
           fmt::format("keys[{}] is not an object: readers ignore it (RFC 7517 section 5)", i),
           /*is_warning=*/true});
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

}  // namespace notp
