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
  return {};  // a reader skips types it does not know (RFC 7517 §5)
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
  if (kty == "oct")
    findings.push_back({"keys-private", fmt::format("{} is a symmetric key (kty oct), which is all "
                                                    "secret: take it out",
                                                    name)});
  if (kty.empty())
    findings.push_back({"keys-format", fmt::format("{} has no \"kty\" (RFC 7517 §4.1)", name)});
  for (const std::string_view member : public_members(kty))
    if (text_of(key, member).empty())
      findings.push_back(
          {"keys-format", fmt::format("{} of type {} has no \"{}\"", name, kty, member)});
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
    return {{"keys-format", "not a JWK Set: an object with an array \"keys\" (RFC 7517 §5)"}};
  std::vector<KeyFinding> findings;
  for (size_t i = 0; const json::value& key : keys->get_array()) {
    if (key.is_object())
      check_key(key.get_object(), i, findings);
    else
      findings.push_back({"keys-format", fmt::format("keys[{}] is not an object", i)});
    ++i;
  }
  return findings;
}

}  // namespace notp
