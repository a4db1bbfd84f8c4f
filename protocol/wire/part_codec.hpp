// The codecs of the alternatives of Request and Response. Such a Codec<T> is written against the
// envelope's class, pb::Request or pb::Response:
//
//   kPart                          the fields of the envelope that are this part
//   check(const T&)                as in message_codec.hpp
//   is_in(const Envelope&)         whether the envelope has this part
//   put(Envelope&, const T&)
//   take(const Envelope&)          requires is_in()
//
// A family's .cpp instantiates PartCodec<T, pb::Request> or PartCodec<T, pb::Response> below it for
// the envelopes.
#pragma once

#include "common/limits.hpp"
#include "protocol/wire/message_codec.hpp"

namespace notp::wire {

// --- pages: the rows that fit into a frame, and whether there are more

// Returns the bytes that are left in the frame of `page` for rows. All other fields are set.
inline size_t room_for_rows(pb::Response& page) {
  page.set_more(true);  // for its size
  return limits::kFrameBytesMax - page.ByteSizeLong();
}

// A field number takes at most two bytes, the length of a row in a frame at most three.
inline constexpr size_t kRowOverheadBytes = 5;

// Adds rows while they fit into `room`. False: some were left out.
template <typename Row>
bool put_rows_that_fit(auto& field, const std::vector<Row>& rows, size_t& room) {
  for (const Row& row : rows) {
    auto& out = *field.Add();
    Codec<Row>::put(out, row);
    const size_t bytes = out.ByteSizeLong() + kRowOverheadBytes;
    if (bytes > room) {
      field.RemoveLast();
      return false;
    }
    room -= bytes;
  }
  return true;
}

// The same for envelopes, which are rows by themselves.
inline bool put_envelopes_that_fit(google::protobuf::RepeatedPtrField<std::string>& field,
                                   const std::vector<Bytes>& envelopes, size_t& room) {
  for (const Bytes& envelope : envelopes) {
    const size_t bytes = envelope.size() + kRowOverheadBytes;
    if (bytes > room) return false;
    room -= bytes;
    *field.Add() = envelope;
  }
  return true;
}

// --- for the envelopes

template <typename T, typename Envelope>
std::span<const FieldRule> PartCodec<T, Envelope>::fields() {
  return Codec<T>::kPart;
}

template <typename T, typename Envelope>
Result<void> PartCodec<T, Envelope>::check(const T& part) {
  return Codec<T>::check(part);
}

template <typename T, typename Envelope>
bool PartCodec<T, Envelope>::is_in(const Envelope& envelope) {
  return Codec<T>::is_in(envelope);
}

template <typename T, typename Envelope>
void PartCodec<T, Envelope>::put(Envelope& envelope, const T& part) {
  Codec<T>::put(envelope, part);
}

template <typename T, typename Envelope>
Result<T> PartCodec<T, Envelope>::take(const Envelope& envelope) {
  return Codec<T>::take(envelope);
}

}  // namespace notp::wire
