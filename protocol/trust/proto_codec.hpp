// Converts between signed or hashed bytes and protobuf messages. Private to protocol/trust and
// protocol/record, the only components that use the classes of schemas/model.proto and
// schemas/record.proto.
#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message_lite.h>
#include <google/protobuf/stubs/logging.h>

#include "common/assert.hpp"
#include "common/bytes.hpp"
#include "common/limits.hpp"

namespace notp::trust {

// Writes fields in the order of their numbers, without defaults: without maps and unknown fields,
// Protobuf has only one form.
template <typename Message>
Bytes serialize(const Message& message) {
  Bytes out;
  NOTP_ASSERT(message.SerializeToString(&out), "a statement cannot be serialised");
  return out;
}

// Parses all of `bytes`; false when they are too many, too deep or not a message. The caller also
// compares its result, serialised again, with `bytes`: that refuses a field twice, an explicit
// default, a longer number than needed, fields out of order and unknown fields, which the lite
// runtime keeps without another way to see them.
template <typename Message>
bool parse(ByteView bytes, Message& message, size_t bytes_max = limits::kEnvelopeBytesMax) {
  // Without a handler Protobuf writes a peer's input to standard error.
  static const auto silenced = google::protobuf::SetLogHandler(
      [](google::protobuf::LogLevel, const char*, int, const std::string&) {});
  static_cast<void>(silenced);
  if (bytes.size() > bytes_max) return false;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  in.SetRecursionLimit(limits::kProtobufDepthMax);
  return message.ParseFromCodedStream(&in) && in.ConsumedEntireMessage();
}

}  // namespace notp::trust
