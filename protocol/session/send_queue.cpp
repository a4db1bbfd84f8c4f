#include "protocol/session/send_queue.hpp"

#include <algorithm>
#include <utility>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "protocol/wire/frame.hpp"

namespace notp::session {

namespace {

constexpr size_t kChunkHeaderBytesMax = limits::kFrameHeaderBytesMax + 5;  // and the stream

// Of a chunk whose frame fits: a full turn is one TLS record, not one and the rest of another.
size_t room_for_chunk(size_t bytes_max) {
  return bytes_max > kChunkHeaderBytesMax ? bytes_max - kChunkHeaderBytesMax : 1;
}

}  // namespace

Result<void> SendQueue::push(const wire::Message& message) {
  NOTP_ASSIGN(const Bytes frame, wire::try_encode_frame(message));
  control_.append(frame);
  return {};
}

void SendQueue::push_frames(model::Content frames) {
  if (control_.empty() && !first_)
    first_ = std::move(frames);
  else
    control_.append(*frames);
}

void SendQueue::push_transfer(uint32_t stream, model::Content content, uint64_t offset) {
  NOTP_ASSERT(content && offset <= content->size(), "a transfer starts inside its content");
  NOTP_ASSERT(!transfers_.contains(stream), "one transfer a stream");
  if (offset < content->size()) transfers_.emplace(stream, Transfer{std::move(content), offset});
}

Result<void> SendQueue::push_background(const wire::Message& head, uint32_t stream,
                                        model::Content body) {
  NOTP_ASSIGN(Bytes frame, wire::try_encode_frame(head));
  background_.push_back({std::move(frame), stream, std::move(body)});
  return {};
}

void SendQueue::push_lane(model::Content frame, bool bulk) {
  lane_bytes_ += frame->size();
  (bulk ? lane_snapshots_ : lane_batches_).push_back(std::move(frame));
}

void SendQueue::drop_lane() {
  lane_batches_.clear();
  lane_snapshots_.clear();
  lane_bytes_ = 0;
}

uint32_t SendQueue::free_stream() const {
  uint32_t stream = 0;
  while (transfers_.contains(stream)) ++stream;
  return stream;
}

Bytes SendQueue::take(size_t bytes_max) {
  Bytes out = std::exchange(control_, {});
  if (const model::Content first = take_shared()) out.insert(0, *first);
  while (out.size() < bytes_max && !lane_batches_.empty()) append_lane(out, lane_batches_);
  while (!transfers_.empty() && (out.empty() || out.size() + kChunkHeaderBytesMax < bytes_max))
    append_chunk(out, bytes_max - std::min(out.size(), bytes_max));
  if (out.empty() && !lane_snapshots_.empty()) append_lane(out, lane_snapshots_);
  if (out.empty() && !background_.empty()) append_background(out, bytes_max);
  return out;
}

void SendQueue::append_lane(Bytes& out, std::list<model::Content>& frames) {
  out.append(*frames.front());
  lane_bytes_ -= frames.front()->size();
  frames.pop_front();
}

void SendQueue::append_chunk(Bytes& out, size_t bytes_max) {
  const auto next = std::ranges::min_element(transfers_, {},
                                             [](const auto& entry) { return entry.second.left(); });
  auto& [stream, transfer] = *next;
  const uint64_t bytes =
      std::min<uint64_t>({transfer.left(), limits::kChunkBytesMax, room_for_chunk(bytes_max)});
  out.append(wire::encode_chunk_header(stream, bytes));
  out.append(*transfer.content, transfer.offset, bytes);
  transfer.offset += bytes;
  if (transfer.left() == 0) transfers_.erase(next);
}

void SendQueue::append_background(Bytes& out, size_t bytes_max) {
  Background& next = background_.front();
  out = std::exchange(next.head, {});
  if (const uint64_t left = next.left(); left > 0) {
    const uint64_t bytes =
        std::min<uint64_t>({left, limits::kSegmentChunkBytes, room_for_chunk(bytes_max)});
    out.append(wire::encode_chunk_header(next.stream, bytes));
    out.append(*next.body, next.offset, bytes);
    next.offset += bytes;
  }
  if (next.left() == 0) background_.pop_front();
}

}  // namespace notp::session
