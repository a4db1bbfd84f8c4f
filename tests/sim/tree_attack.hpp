// What a lying registry does to decision records and to its tree, in the story of that.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/wire/messages/proof.hpp"
#include "tests/sim/memory_audit_store.hpp"

namespace notp::sim {

enum class TreeAttack : uint8_t {
  kNone,     // another story
  kControl,  // that story, and nobody lies: records are deleted as the tree says
  // --- what a receipt shows to its node
  kRollBack,   // store and tree are put back to a backup, and go on as if nothing had been
  kShrink,     // the tree is, and grows again in another way
  kOtherRoot,  // a leaf has another root than the node's checkpoint
  kOtherKey,   // another tree takes its place
  kReplay,     // an old receipt comes again instead of a new one
  kLeaveOut,   // a node's checkpoints never become leaves
  // --- what an auditor finds
  kFork,            // two trees of one key: nodes get the receipts of one of them
  kDropSegment,     // the store lacks a segment
  kDropEnd,         // the store says that a log has ended before it did
  kDropLog,         // the store lacks a log
  kRewrite,         // a record is changed, and signed anew with the node's stolen key
  kSwap,            // records of two logs change places
  kDeleteSilently,  // a body is deleted, and no leaf says so
};
inline constexpr size_t kTreeAttacks = 15;
std::string_view tree_attack_name(TreeAttack attack);

// What an auditor finds wrong in a registry: each as a text. `kept`: checkpoints of its tree that
// nodes have kept.
using AuditVerify = std::function<std::vector<std::string>(
    const MemoryAuditStore::Image& store, const wire::TreePart& tree,
    const std::vector<record::Checkpoint>& kept)>;

}  // namespace notp::sim
