// The log of fuzz_record, and the inputs that it begins with.
#pragma once

#include <map>
#include <string>

#include "common/crypto/x509.hpp"
#include "common/zstd.hpp"
#include "protocol/record/announcement.hpp"
#include "protocol/record/segment.hpp"
#include "protocol/record/tlog_proof.hpp"
#include "protocol/record/tree_entry.hpp"
#include "tests/support/decision_records.hpp"

namespace notp::fuzz {

inline constexpr std::string_view kNode = "spiffe://core-platform.internal/node/edge-1";

inline const PrivateKey& log_key() {
  static const PrivateKey key = PrivateKey::from_seed({1, 2, 3});
  return key;
}

inline Bytes run_start() {
  return record::encode({{0, 1, 0}, 1'000, record::RunStart{"notp-client", 1, "boot"}});
}

// The first records of the log: a start, what is active, two decisions.
inline std::vector<Bytes> records() {
  return {run_start(), record::encode({{1, 1, 0}, 2'000, samples::active_set()}),
          samples::decision_record(1, 0, 2), samples::decision_record(1, 1, 3)};
}

inline record::Segment segment() {
  record::Frontier tree;
  record::SegmentBuilder builder(0, Bytes(record::kSegmentSecretBytes, 's'));
  for (const Bytes& each : records()) builder.add(each, tree);
  const auto log = record::LogId::of(log_key().public_key());
  return *std::move(builder).seal(log, tree, record::log_origin(kNode, log), log_key());
}

// Of that segment.
inline const record::SegmentHead& head() {
  static const record::SegmentHead head = segment().head;
  return head;
}

inline Bytes announcement(std::string_view node = kNode, const PrivateKey& announced = log_key()) {
  const x509::Key key = *x509::make_key(x509::KeyType::kP256);
  x509::Draft draft;
  draft.common_name = "edge-1";
  draft.uris = {std::string(node)};
  draft.not_after_ms = 3'600'000;
  const auto certificate = *x509::sign_own(draft, key.get());
  return *record::sign_announcement(
      {"core-platform.internal", std::string(node), announced.public_key(), 1'700'000'000'000,
       record::LogId(), "first"},
      {{*x509::der_of(certificate.get())},
       [&key](ByteView message) { return x509::sign_message(key.get(), message); }});
}

inline Bytes frontier(size_t leaves) {
  record::Frontier tree;
  for (size_t i = 0; i < leaves; ++i) tree.append(sha256(std::to_string(i)));
  return tree.encode();
}

inline std::vector<Hash> leaves() {
  const record::Segment sealed = segment();
  return record::leaf_hashes(sealed.head, *record::OpenedSegment::open(sealed.head, sealed.body));
}

// Of the registry's tree: the log's checkpoint, an erasure, a hold.
inline record::TreeEntry checkpoint_entry() {
  record::TreeEntry out;
  out.time_ms = 1'700'000'000'000;
  out.log = head().log;
  out.size = head().end();
  out.root = record::parse_checkpoint(head().checkpoint)->root;
  return out;
}
inline record::TreeEntry erasure_entry() {
  record::TreeEntry out;
  out.kind = record::TreeEntryKind::kErasure;
  out.time_ms = 1'700'000'000'001;
  out.log = head().log;
  out.count = head().count;
  out.positions = {2, 3};
  out.hashes = {leaves()[2], leaves()[3]};
  out.rule = "asked for";
  out.by = "spiffe://core-platform.internal/admin/ada";
  return out;
}
inline record::TreeEntry hold_entry() {
  record::TreeEntry out;
  out.kind = record::TreeEntryKind::kHold;
  out.time_ms = 1'700'000'000'002;
  out.rule = "all decisions: a court wants them";
  out.by = "spiffe://core-platform.internal/admin/ada";
  out.id = "case-7";
  out.on = true;
  return out;
}

// By name. The first byte is the number of the reader in fuzz_record.cpp; of a segment the second
// has its count, and 8 for a body that is a frame.
inline std::map<std::string, Bytes> record_seeds() {
  using namespace record;
  const auto with = [](char reader, ByteView rest) { return Bytes(1, reader).append(rest); };
  const Segment sealed = segment();
  const auto opened = *OpenedSegment::open(sealed.head, sealed.body);
  const Bytes reduced = *reduce(sealed.head, opened, [](size_t i) { return i % 2 == 0; });
  Bytes content;
  for (const Bytes& each : records()) {
    put_varint(content, each.size());
    content += each;
  }
  const std::string cosigned =
      *add_cosignature(sealed.head.checkpoint,
                       {"witness.example/w1", 7, *cosign(sealed.head.checkpoint, 7, log_key())},
                       log_key().public_key());
  const TlogProof in_log{2, inclusion_proof(2, leaves()), cosigned};
  const Gap gap{GapReason::kPowerLoss, 7, true, "", "power was lost"};
  const Dropped dropped{{{"a/b", Outcome::kAllow, "health", 9}, {"a/c", Outcome::kDeny, "", 1}}};
  return {
      {"record_start", with(0, records()[0])},
      {"record_active", with(0, records()[1])},
      {"record_decision", with(0, records()[2])},
      {"record_end", with(0, encode({{9, 1, 1}, 5, RunEnd{"stopped"}}))},
      {"record_gap", with(0, encode({{9, 2, 1}, 5, gap}))},
      {"record_dropped", with(0, encode({{9, 2, 1}, 5, dropped}))},
      {"checkpoint", with(1, sealed.head.checkpoint)},
      {"announcement", with(2, announcement())},
      {"segment", with(3, Bytes(1, 4) + content)},
      {"segment_frame", with(3, Bytes(1, 4 | 8) + sealed.body)},
      {"segment_other_size", with(3, Bytes(1, 4 | 8 | 16) + sealed.body)},
      {"reduced",
       with(4, Bytes(1, 4 | 16) + *zstd_decompress(reduced, {}, *zstd_content_bytes(reduced)))},
      {"reduced_frame", with(4, Bytes(1, 4 | 8 | 16) + reduced)},
      {"frontier", with(5, frontier(37))},
      {"frontier_empty", with(5, frontier(0))},
      {"checkpoint_cosigned", with(1, cosigned)},
      {"entry_checkpoint", with(7, encode(checkpoint_entry()))},
      {"entry_erasure", with(7, encode(erasure_entry()))},
      {"entry_hold", with(7, encode(hold_entry()))},
      {"tlog_proof", with(8, to_text(in_log))},
      {"named_key",
       with(9, named_key_text({"core.internal/decisions/registry/0a", log_key().public_key()}))},
      {"named_key_witness",
       with(9, named_key_text({"witness.example/w1", log_key().public_key(), true}))},
      {"address", with(6, DecisionAddress::of(sealed.head.log, 3, 70'000).text())}};
}

}  // namespace notp::fuzz
