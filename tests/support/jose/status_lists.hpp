// Status lists as an issuer makes them, and hostile ones.
#pragma once

#include <zlib.h>

#include <stdexcept>

#include "common/base64url.hpp"
#include "common/jose/signing_key.hpp"
#include "common/json/json.hpp"

namespace notp::jose {

inline Bytes zlib_of(ByteView bytes) {
  uLongf size = compressBound(bytes.size());
  Bytes out(size, '\0');
  const int done =
      compress2(reinterpret_cast<Bytef*>(out.data()), &size,
                reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(), Z_BEST_COMPRESSION);
  if (done != Z_OK) throw std::runtime_error("zlib does not compress");
  out.resize(size);
  return out;
}

// A token of any size: sign_token() stops at what a request can carry.
inline std::string sign_any_size(const json::object& header, const json::object& claims,
                                 const SigningKey& key) {
  json::object whole = header;
  whole["alg"] = algorithm_name(key.algorithm());
  std::string out =
      to_base64url(json::serialize(whole)) + "." + to_base64url(json::serialize(claims));
  const Bytes signature = key.sign(out).value();
  return out + "." + to_base64url(signature);
}

}  // namespace notp::jose
