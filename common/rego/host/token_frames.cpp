#include "common/rego/host/token_frames.hpp"

#include <utility>

namespace notp::rego {
namespace {

// Descriptors of one frame: a worker has room for few.
constexpr size_t kFilesMax = 16;
constexpr size_t kPayloadBytes = 4 << 20;  // about, of one frame

constexpr uint8_t kWhole = 1, kMore = 2;
constexpr uint8_t kComplete = 1, kServes = 2;
constexpr uint8_t kBaseNone = 0, kBaseFile = 1, kBaseStays = 2;

void put_u8(Bytes& out, uint8_t value) { out.push_back(static_cast<char>(value)); }
void put_time(Bytes& out, TimeMs value) { put_u64(out, static_cast<uint64_t>(value)); }

Bytes beginning(uint8_t flags, const LaneReadout& readout) {
  Bytes out;
  put_u8(out, flags);
  put_str(out, readout.lane);
  put_u64(out, readout.revision);
  put_u8(out, static_cast<uint8_t>(readout.contact));
  put_u8(out, static_cast<uint8_t>(readout.mode));
  put_u8(out, (readout.is_complete ? kComplete : 0) | (readout.serves ? kServes : 0));
  put_time(out, readout.heard_ms);
  put_u64(out, readout.hard_s);
  put_time(out, readout.trusted_ms);
  put_time(out, readout.boot_ms);
  return out;
}

struct Part {
  Bytes shards;
  uint32_t count = 0;
  std::vector<SharedBytesPtr> files;

  void add(ShardKey key, const TokenShard& now, const TokenShard& before) {
    ++count;
    put_u8(shards, static_cast<uint8_t>(key.kind));
    put_u8(shards, key.index);
    const bool stays = now.base == before.base;
    put_u8(shards, stays ? kBaseStays : now.base ? kBaseFile : kBaseNone);
    if (!stays && now.base) files.push_back(now.base);
    put_str(shards, now.delta ? ByteView(*now.delta) : ByteView());
  }
  bool is_full() const { return files.size() >= kFilesMax || shards.size() >= kPayloadBytes; }
};

std::vector<Part> parts_of(const std::map<ShardKey, TokenShard>& now,
                           const std::map<ShardKey, TokenShard>& before) {
  std::vector<Part> parts(1);
  static const TokenShard kNone;
  const auto add = [&](ShardKey key, const TokenShard& to, const TokenShard& from) {
    if (to.base == from.base && to.delta == from.delta) return;
    if (parts.back().is_full()) parts.emplace_back();
    parts.back().add(key, to, from);
  };
  for (const auto& [key, shard] : now) {
    const auto had = before.find(key);
    add(key, shard, had == before.end() ? kNone : had->second);
  }
  for (const auto& [key, shard] : before)
    if (!now.contains(key)) add(key, kNone, shard);
  return parts;
}

}  // namespace

std::vector<OutgoingFrame> WorkerTokens::update(const TokenUpdate& newest, uint64_t number,
                                                const std::function<uint32_t()>& next_id) {
  if (last_id_ != 0 || number == number_) return {};
  std::vector<OutgoingFrame> frames;
  auto parts = parts_of(newest.shards, sent_);
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool is_last = i + 1 == parts.size();
    Bytes payload = beginning((number_ == 0 ? kWhole : 0) | (is_last ? 0 : kMore), newest.readout);
    put_u32(payload, parts[i].count);
    payload += parts[i].shards;
    last_id_ = next_id();
    frames.push_back(
        frame_of(last_id_, Operation::kTokens, std::make_shared<const Bytes>(std::move(payload))));
    frames.back().files = std::move(parts[i].files);
  }
  sent_ = newest.shards;
  number_ = number;
  return frames;
}

void WorkerTokens::answered(uint32_t id) {
  if (id != last_id_) return;
  last_id_ = 0;
  applied_ = number_;
}

}  // namespace notp::rego
