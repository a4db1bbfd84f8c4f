// Hand-made payloads that encode_frame() would never produce.
#pragma once

#include <string>

#include "protocol/wire/frame.hpp"

namespace notp::wire::samples {

inline Bytes raw_frame(uint8_t type, ByteView payload) {
  Bytes out(1, static_cast<char>(type));
  put_varint(out, payload.size());
  return out.append(payload);
}

inline Bytes field(uint32_t number, ByteView bytes) {
  Bytes out;
  put_varint(out, number << 3 | 2);
  put_varint(out, bytes.size());
  return out.append(bytes);
}

inline Bytes varint_field(uint32_t number, uint64_t value) {
  Bytes out;
  put_varint(out, number << 3);
  put_varint(out, value);
  return out;
}

inline ErrorCode decode_code(FrameType type, ByteView payload) {
  auto decoded = decode_payload(static_cast<uint8_t>(type), payload);
  return decoded ? ErrorCode{} : decoded.error().code;
}

inline std::string decode_text(FrameType type, ByteView payload) {
  auto decoded = decode_payload(static_cast<uint8_t>(type), payload);
  return decoded ? "accepted" : decoded.error().message;
}

inline Bytes ledger_bytes(uint64_t zone = 273165098782, ByteView name = "payments") {
  return varint_field(1, zone) + field(2, name);
}

inline Bytes hash_bytes(char fill = 'x', size_t size = 32) { return Bytes(size, fill); }

}  // namespace notp::wire::samples
