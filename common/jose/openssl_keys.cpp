#include "common/jose/openssl_keys.hpp"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <array>

#include "common/base64url.hpp"
#include "common/crypto/small_order.hpp"
#include "common/jose/algorithm_traits.hpp"
#include "common/jose/jose_limits.hpp"

namespace notp::jose {
namespace {

using BigNumber = CPointer<BIGNUM, BN_free>;
using Builder = CPointer<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Parameters = CPointer<OSSL_PARAM, OSSL_PARAM_free>;
using KeyContext = CPointer<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using MdContext = CPointer<EVP_MD_CTX, EVP_MD_CTX_free>;
using EcdsaSignature = CPointer<ECDSA_SIG, ECDSA_SIG_free>;

struct Curve {
  std::string_view crv;
  std::string_view group;  // OpenSSL's name
  size_t bytes;            // of a coordinate, and of half a signature
};
constexpr std::array<Curve, 3> kCurves = {
    {{"P-256", "prime256v1", 32}, {"P-384", "secp384r1", 48}, {"P-521", "secp521r1", 66}}};

struct Edwards {
  std::string_view crv;
  const char* type;  // OpenSSL's name
  size_t bytes;      // of a public key
  bool (*has_small_order)(ByteView);
};
constexpr std::array<Edwards, 2> kEdwards = {{{"Ed25519", "ED25519", 32, has_small_order_25519},
                                              {"Ed448", "ED448", 57, has_small_order_448}}};

const unsigned char* data_of(ByteView bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* data_of(Bytes& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

BigNumber number_of(ByteView bytes) {
  return BigNumber(BN_bin2bn(data_of(bytes), static_cast<int>(bytes.size()), nullptr));
}

// Returns null when OpenSSL refuses the parameters.
x509::Key key_from(const char* type, OSSL_PARAM_BLD* builder) {
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (parameters && context && EVP_PKEY_fromdata_init(context.get()) == 1)
    EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get());
  ERR_clear_error();
  return x509::Key(key);
}

std::string number_member(const EVP_PKEY* key, const char* name, size_t bytes) {
  BIGNUM* number = nullptr;
  EVP_PKEY_get_bn_param(key, name, &number);
  const BigNumber owned(number);
  if (!owned) return {};
  Bytes out(bytes == 0 ? static_cast<size_t>(BN_num_bytes(number)) : bytes, '\0');
  BN_bn2binpad(number, data_of(out), static_cast<int>(out.size()));
  return to_base64url(out);
}

const Curve* curve_of(const EVP_PKEY* key) {
  char group[32] = {};
  EVP_PKEY_get_group_name(key, group, sizeof group, nullptr);
  for (const Curve& curve : kCurves)
    if (curve.group == group) return &curve;
  return nullptr;
}

// The two numbers of an ECDSA signature in DER, from their fixed form (RFC 7518 §3.4); empty when
// its length is wrong.
Bytes der_of(ByteView fixed, size_t bytes) {
  if (fixed.size() != 2 * bytes) return {};
  const EcdsaSignature signature(ECDSA_SIG_new());
  BigNumber r = number_of(fixed.substr(0, bytes)), s = number_of(fixed.substr(bytes));
  if (!signature || !r || !s || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) return {};
  static_cast<void>(r.release());
  static_cast<void>(s.release());
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return {};
  Bytes out(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return out;
}

Result<Bytes> fixed_of(ByteView der, size_t bytes) {
  const unsigned char* at = data_of(der);
  const EcdsaSignature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  Bytes out(2 * bytes, '\0');
  const int half = static_cast<int>(bytes);
  if (!signature || BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), data_of(out), half) != half ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), data_of(out) + half, half) != half)
    return x509::openssl_failed("reading an own signature");
  return out;
}

bool set_padding(EVP_PKEY_CTX* parameters, const AlgorithmTraits& traits) {
  if (traits.kty != "RSA") return true;
  if (!traits.is_pss()) return EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PADDING) == 1;
  return EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1;
}

const char* digest_of(const AlgorithmTraits& traits) {
  return *traits.digest == '\0' ? nullptr : traits.digest;
}

}  // namespace

Result<x509::Key> rsa_key(ByteView modulus, ByteView exponent) {
  if (modulus.starts_with('\0') || exponent.starts_with('\0'))
    return fail(ErrorCode::kMessage, "n and e must not begin with zero bytes (RFC 7518 §6.3.1)");
  const BigNumber n = number_of(modulus), e = number_of(exponent);
  if (!n || !e) return x509::openssl_failed("reading an RSA key");
  if (const int bits = BN_num_bits(n.get()); bits < kRsaBitsMin || bits > kRsaBitsMax)
    return fail(ErrorCode::kMessage, fmt::format("an RSA key of {} bits; {} to {} are allowed",
                                                 bits, kRsaBitsMin, kRsaBitsMax));
  if (BN_is_odd(n.get()) == 0) return fail(ErrorCode::kMessage, "an even RSA modulus");
  // BN_get_word() is all ones for what does not fit.
  if (const uint64_t word = BN_get_word(e.get());
      word < kRsaExponentMin || word > kRsaExponentMax || word % 2 == 0)
    return fail(ErrorCode::kMessage,
                fmt::format("an RSA exponent that is even or not within {} to {}", kRsaExponentMin,
                            kRsaExponentMax));
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
    return x509::openssl_failed("reading an RSA key");
  x509::Key key = key_from("RSA", builder.get());
  if (!key) return fail(ErrorCode::kMessage, "OpenSSL refuses the RSA key");
  return key;
}

Result<x509::Key> ec_key(const std::string& crv, ByteView x, ByteView y) {
  for (const Curve& curve : kCurves) {
    if (curve.crv != crv) continue;
    if (x.size() != curve.bytes || y.size() != curve.bytes)
      return fail(ErrorCode::kMessage, fmt::format("coordinates on {} have {} bytes each "
                                                   "(RFC 7518 §6.2.1.2), these {} and {}",
                                                   crv, curve.bytes, x.size(), y.size()));
    const Bytes point = fmt::format("\x04{}{}", x, y);
    const Builder builder(OSSL_PARAM_BLD_new());
    if (!builder ||
        OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                        curve.group.data(), curve.group.size()) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                         point.size()) != 1)
      return x509::openssl_failed("reading an EC key");
    x509::Key key = key_from("EC", builder.get());
    if (!key) return fail(ErrorCode::kMessage, fmt::format("a point that is not on {}", crv));
    return key;
  }
  return fail(
      ErrorCode::kMessage,
      fmt::format("the curve \"{}\"; P-256, P-384 and P-521 are allowed", printable(crv, 20)));
}

Result<x509::Key> okp_key(std::string_view crv, ByteView x) {
  for (const Edwards& curve : kEdwards) {
    if (curve.crv != crv) continue;
    if (x.size() != curve.bytes)
      return fail(ErrorCode::kMessage,
                  fmt::format("a key of {} has {} bytes, this {}", crv, curve.bytes, x.size()));
    if (curve.has_small_order(x))
      return fail(ErrorCode::kMessage, fmt::format("a point of small order of {}", crv));
    x509::Key key(
        EVP_PKEY_new_raw_public_key_ex(nullptr, curve.type, nullptr, data_of(x), x.size()));
    if (!key) return x509::openssl_failed("reading an Edwards key");
    return key;
  }
  return fail(ErrorCode::kMessage,
              fmt::format("the curve \"{}\"; Ed25519 and Ed448 are allowed", printable(crv, 20)));
}

Result<json::object> public_members(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1)
    return json::object{{"kty", "RSA"},
                        {"n", number_member(key, OSSL_PKEY_PARAM_RSA_N, 0)},
                        {"e", number_member(key, OSSL_PKEY_PARAM_RSA_E, 0)}};
  if (EVP_PKEY_is_a(key, "EC") == 1)
    if (const Curve* curve = curve_of(key))
      return json::object{{"kty", "EC"},
                          {"crv", curve->crv},
                          {"x", number_member(key, OSSL_PKEY_PARAM_EC_PUB_X, curve->bytes)},
                          {"y", number_member(key, OSSL_PKEY_PARAM_EC_PUB_Y, curve->bytes)}};
  for (const Edwards& curve : kEdwards) {
    if (EVP_PKEY_is_a(key, curve.type) != 1) continue;
    Bytes x(curve.bytes, '\0');
    size_t size = x.size();
    if (EVP_PKEY_get_raw_public_key(key, data_of(x), &size) != 1)
      return x509::openssl_failed("reading an Edwards key");
    return json::object{{"kty", "OKP"}, {"crv", curve.crv}, {"x", to_base64url(x)}};
  }
  return fail(ErrorCode::kConfig, "the key is not RSA, EC on P-256, P-384 or P-521, or Ed25519");
}

bool verify_signature(EVP_PKEY* key, Algorithm algorithm, ByteView input, ByteView signature) {
  const AlgorithmTraits& traits = traits_of(algorithm);
  Bytes der;
  if (traits.kty == "EC") {
    const Curve* curve = curve_of(key);
    if (curve == nullptr) return false;
    der = der_of(signature, curve->bytes);
    if (der.empty()) return false;
    signature = der;
  } else if (traits.kty == "RSA" &&
             signature.size() != static_cast<size_t>(EVP_PKEY_get_size(key))) {
    return false;
  }
  const MdContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  const bool good = context &&
                    EVP_DigestVerifyInit_ex(context.get(), &parameters, digest_of(traits), nullptr,
                                            nullptr, key, nullptr) == 1 &&
                    set_padding(parameters, traits) &&
                    EVP_DigestVerify(context.get(), data_of(signature), signature.size(),
                                     data_of(input), input.size()) == 1;
  ERR_clear_error();
  return good;
}

Result<Bytes> make_signature(EVP_PKEY* key, Algorithm algorithm, ByteView input) {
  const AlgorithmTraits& traits = traits_of(algorithm);
  const MdContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  size_t size = 0;
  if (!context ||
      EVP_DigestSignInit_ex(context.get(), &parameters, digest_of(traits), nullptr, nullptr, key,
                            nullptr) != 1 ||
      !set_padding(parameters, traits) ||
      EVP_DigestSign(context.get(), nullptr, &size, data_of(input), input.size()) != 1)
    return x509::openssl_failed("signing a token");
  Bytes signature(size, '\0');
  if (EVP_DigestSign(context.get(), data_of(signature), &size, data_of(input), input.size()) != 1)
    return x509::openssl_failed("signing a token");
  signature.resize(size);
  if (const Curve* curve = traits.kty == "EC" ? curve_of(key) : nullptr)
    return fixed_of(signature, curve->bytes);
  return signature;
}

}  // namespace notp::jose
