#include "common/jose/jwk.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "common/base64url.hpp"
#include "common/crypto/digest.hpp"
#include "common/jose/algorithm_traits.hpp"
#include "common/jose/jose_limits.hpp"
#include "common/jose/openssl_keys.hpp"
#include "common/jose/private_members.hpp"
#include "common/jose/verified_signatures.hpp"

namespace notp::jose {

struct PublicJwk::Data {
  std::shared_ptr<EVP_PKEY> key;
  std::shared_ptr<VerifiedSignatures> verified = std::make_shared<VerifiedSignatures>();  // by it
  std::string kty, crv, kid, alg, use;
  std::vector<std::string> key_ops;  // sorted
  json::object numbers;              // the public members that make the key
};

namespace {

// Names of RFC 7518 §3.1 and §4.1 that only shared secrets have, or nothing.
constexpr std::array<std::string_view, 5> kSecretAlgorithms = {"HS256", "HS384", "HS512", "dir",
                                                               "none"};

std::unexpected<Error> refuse(std::string why) { return fail(ErrorCode::kMessage, std::move(why)); }

// Empty when there is no such member.
Result<std::string> text_member(const json::object& members, std::string_view name) {
  const json::value* value = members.if_contains(name);
  if (value == nullptr) return std::string();
  if (!value->is_string()) return refuse(fmt::format("{} is not a string", name));
  if (value->get_string().empty()) return refuse(fmt::format("{} is empty", name));
  return std::string(value->get_string());
}

Result<Bytes> bytes_member(const json::object& members, std::string_view name) {
  NOTP_ASSIGN(const std::string text, text_member(members, name));
  if (text.empty()) return refuse(fmt::format("{} is missing", name));
  if (text.size() > kRsaBitsMax / 8 * 2) return refuse(fmt::format("{} is too long", name));
  auto bytes = from_base64url(text);
  if (!bytes) return std::unexpected(std::move(bytes).error().in(name));
  return bytes;
}

Result<std::vector<std::string>> operations_of(const json::value& value) {
  std::vector<std::string> out;
  if (!value.is_array()) return refuse("key_ops is not an array");
  const json::array& elements = value.get_array();
  if (elements.empty() || elements.size() > kKeyOperationsMax)
    return refuse(fmt::format("key_ops has {} entries; 1 to {} are allowed", elements.size(),
                              kKeyOperationsMax));
  for (const json::value& element : elements) {
    if (!element.is_string()) return refuse("key_ops has an entry that is not a string");
    if (element.get_string().size() > kKidBytesMax) return refuse("key_ops has a long entry");
    out.emplace_back(element.get_string());
  }
  std::ranges::sort(out);
  if (std::ranges::adjacent_find(out) != out.end())
    return refuse("key_ops has one operation twice (RFC 7517 §4.3)");
  return out;
}

bool is_signature_operation(std::string_view operation) {
  return operation == "verify" || operation == "sign";
}

// RFC 7517 §4.3: both may be there and must not contradict each other.
Result<void> check_use(std::string_view use, const std::vector<std::string>& operations) {
  if (use.empty() || operations.empty()) return {};
  const bool fit = use == "sig" ? std::ranges::all_of(operations, is_signature_operation)
                                : std::ranges::none_of(operations, is_signature_operation);
  if (!fit) return refuse(fmt::format("key_ops contradicts use \"{}\"", printable(use, 20)));
  return {};
}

Result<void> check_algorithm(std::string_view alg, std::string_view kty, std::string_view crv) {
  const bool is_secret = std::ranges::find(kSecretAlgorithms, alg) != kSecretAlgorithms.end() ||
                         (kty != "RSA" && alg.starts_with("RSA")) ||
                         (kty == "RSA" && alg.starts_with("ECDH"));
  const auto known = algorithm_of(alg);
  if (!is_secret && (!known || traits_of(*known).suits(kty, crv))) return {};
  return refuse(fmt::format("alg \"{}\" is not one of kty {}{}{}", printable(alg, 40), kty,
                            crv.empty() ? "" : " ", crv));
}

Result<x509::Key> key_of(const json::object& members, std::string_view kty,
                         const std::string& crv) {
  if (kty == "RSA") {
    NOTP_ASSIGN(const Bytes n, bytes_member(members, "n"));
    NOTP_ASSIGN(const Bytes e, bytes_member(members, "e"));
    return rsa_key(n, e);
  }
  if (crv.empty()) return refuse("crv is missing");
  NOTP_ASSIGN(const Bytes x, bytes_member(members, "x"));
  if (kty == "OKP") return okp_key(crv, x);
  NOTP_ASSIGN(const Bytes y, bytes_member(members, "y"));
  return ec_key(crv, x, y);
}

std::span<const std::string_view> number_names(std::string_view kty) {
  static constexpr std::array<std::string_view, 2> kRsa = {"n", "e"};
  static constexpr std::array<std::string_view, 2> kPoint = {"x", "y"};
  if (kty == "RSA") return kRsa;
  return std::span(kPoint).first(kty == "EC" ? 2 : 1);
}

}  // namespace

std::string_view private_member_of(const json::object& key) {
  for (const std::string_view name : kPrivateMembers)
    if (key.contains(name)) return name;
  return {};
}

PublicJwk::PublicJwk(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

Result<PublicJwk> PublicJwk::parse(const json::object& members) {
  if (const std::string_view name = private_member_of(members); !name.empty())
    return refuse(fmt::format("it has the private member \"{}\": its owner must replace it", name));
  if (members.size() > kKeyMembersMax)
    return refuse(fmt::format("{} members; {} are allowed", members.size(), kKeyMembersMax));
  auto data = std::make_shared<Data>();
  NOTP_ASSIGN(data->kty, text_member(members, "kty"));
  if (data->kty.empty()) return refuse("kty is missing");
  if (data->kty != "RSA" && data->kty != "EC" && data->kty != "OKP")
    return refuse(fmt::format("kty \"{}\"; RSA, EC and OKP are allowed", printable(data->kty, 20)));
  const bool is_curve = data->kty != "RSA";
  NOTP_ASSIGN(data->crv, is_curve ? text_member(members, "crv") : std::string());
  NOTP_ASSIGN(x509::Key key, key_of(members, data->kty, data->crv));
  data->key = {key.release(), EVP_PKEY_free};
  NOTP_ASSIGN(data->kid, text_member(members, "kid"));
  if (data->kid.size() > kKidBytesMax)
    return refuse(fmt::format("kid has {} bytes; {} are allowed", data->kid.size(), kKidBytesMax));
  NOTP_ASSIGN(data->alg, text_member(members, "alg"));
  if (data->alg.size() > kKidBytesMax) return refuse("alg is too long");
  NOTP_TRY(check_algorithm(data->alg, data->kty, data->crv));
  NOTP_ASSIGN(data->use, text_member(members, "use"));
  if (data->use.size() > kKidBytesMax) return refuse("use is too long");
  if (const json::value* operations = members.if_contains("key_ops")) {
    NOTP_ASSIGN(data->key_ops, operations_of(*operations));
    NOTP_TRY(check_use(data->use, data->key_ops));
  }
  for (const std::string_view name : number_names(data->kty))
    data->numbers.emplace(name, members.at(name));
  return PublicJwk(std::move(data));
}

const std::string& PublicJwk::kid() const { return data_->kid; }
const std::string& PublicJwk::kty() const { return data_->kty; }
const std::string& PublicJwk::crv() const { return data_->crv; }

std::optional<Algorithm> PublicJwk::algorithm() const { return algorithm_of(data_->alg); }

bool PublicJwk::is_for_signatures() const {
  return (data_->use.empty() || data_->use == "sig") &&
         (data_->key_ops.empty() ||
          std::ranges::find(data_->key_ops, "verify") != data_->key_ops.end()) &&
         (data_->alg.empty() || algorithm().has_value());
}

bool PublicJwk::fits(Algorithm algorithm) const {
  return is_for_signatures() && traits_of(algorithm).suits(data_->kty, data_->crv) &&
         (data_->alg.empty() || this->algorithm() == algorithm);
}

PublicJwk PublicJwk::with_kid(std::string kid) const {
  auto data = std::make_shared<Data>(*data_);
  data->kid = std::move(kid);
  return PublicJwk(std::move(data));
}

Result<void> PublicJwk::verify(Algorithm algorithm, ByteView signing_input,
                               ByteView signature) const {
  if (!fits(algorithm))
    return fail(ErrorCode::kSignature,
                fmt::format("the key is not one for {}", algorithm_name(algorithm)));
  const Hash id = VerifiedSignatures::id_of(algorithm, signing_input, signature);
  if (data_->verified->has(id)) return {};
  if (!verify_signature(data_->key.get(), algorithm, signing_input, signature))
    return fail(ErrorCode::kSignature,
                fmt::format("the {} signature is not one of this key", algorithm_name(algorithm)));
  data_->verified->add(id);
  return {};
}

json::object PublicJwk::canonical() const {
  json::object out;
  const auto put = [&out](std::string_view name, const std::string& text) {
    if (!text.empty()) out.emplace(name, text);
  };
  put("kty", data_->kty);
  put("kid", data_->kid);
  put("use", data_->use);
  put("alg", data_->alg);
  if (!data_->key_ops.empty()) out.emplace("key_ops", json::value_from(data_->key_ops));
  put("crv", data_->crv);
  for (const std::string_view name : {"x", "y", "n", "e"})
    if (const json::value* number = data_->numbers.if_contains(name)) out.emplace(name, *number);
  return out;
}

std::string PublicJwk::thumbprint() const {
  // RFC 7638 §3.2: the required members, by their names.
  json::object required;
  for (const std::string_view name : {"crv", "e", "kty", "n", "x", "y"}) {
    if (const json::value* number = data_->numbers.if_contains(name))
      required.emplace(name, *number);
    else if (name == "kty" || (name == "crv" && !data_->crv.empty()))
      required.emplace(name, name == "kty" ? data_->kty : data_->crv);
  }
  return to_base64url(sha256(json::serialize(required)).view());
}

}  // namespace notp::jose
