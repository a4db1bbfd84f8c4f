// Keys and signatures of RFC 7518 and RFC 8037 over OpenSSL. Thread-safe: no state.
#pragma once

#include "common/crypto/x509.hpp"
#include "common/jose/algorithm.hpp"
#include "common/json/json.hpp"

namespace notp::jose {

// Numbers are big-endian, in the form that RFC 7518 §6 requires. kMessage says what is wrong.
Result<x509::Key> rsa_key(ByteView modulus, ByteView exponent);
Result<x509::Key> ec_key(const std::string& crv, ByteView x, ByteView y);
Result<x509::Key> okp_key(std::string_view crv, ByteView x);

// Returns kty and the members of the public key: n and e, or crv, x and y, or crv and x. kConfig
// for a key of another type or curve.
Result<json::object> public_members(const EVP_PKEY* key);

// The key must suit the algorithm.
bool verify_signature(EVP_PKEY* key, Algorithm algorithm, ByteView input, ByteView signature);
Result<Bytes> make_signature(EVP_PKEY* key, Algorithm algorithm, ByteView input);  // kInternal

}  // namespace notp::jose
