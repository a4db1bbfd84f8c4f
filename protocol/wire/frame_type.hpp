#pragma once

#include <cstdint>

namespace notp::wire {

// The first byte of a frame. The numbers are stable. A reader may skip an unknown type from 128 on;
// an unknown lower one is an error.
enum class FrameType : uint8_t {
  kHello = 1,
  kWelcome = 2,
  kOffer = 3,
  kChunk = 4,
  kCommit = 5,
  kWantMore = 6,
  kPing = 7,
  kPong = 8,
  kError = 9,
  kBye = 10,
  kRootUpdate = 11,
  kFreshnessUpdate = 12,
  kInventoryRequest = 13,
  kInventory = 14,
  kPublish = 16,
  kPublishResult = 17,
  kRequest = 18,
  kResponse = 19,
  kJoin = 20,
  kJoined = 21,
  kLogGrant = 128,
  kLogAnnouncement = 129,
  kSegment = 130,
  kLogReceipt = 131,
  kLogWitness = 132,
  kReleaseHeld = 133,
  kUnknownKey = 134,
  kSourceStatus = 135,
  kLaneSubscribe = 136,
  kLaneState = 137,
  kLaneStatement = 138,
  kLaneAsk = 139,
  kLaneApplied = 140,
  kHeldRequest = 147,
  kHeld = 148,
  kReturnRequest = 149,
  kReturn = 150,
  kAssignment = 151,
};
inline constexpr uint8_t kFirstSkippableType = 128;

}  // namespace notp::wire
