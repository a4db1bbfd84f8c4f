// The proof of a decision of fuzz_record's log, and the inputs that fuzz_proof begins with.
#pragma once

#include <map>
#include <string>

#include "tests/fuzz/record_seeds.hpp"
#include "tools/notp/audit/proof_file.hpp"

namespace notp::fuzz {

inline constexpr std::string_view kRegistry = "spiffe://core-platform.internal/registry/main";
inline constexpr std::string_view kWitness = "witness.example/w1";

inline const PrivateKey& witness_key() {
  static const PrivateKey key = PrivateKey::from_seed({4, 5, 6});
  return key;
}

// A checkpoint of the registry's tree when it has the log's checkpoint alone, cosigned by the node
// and by a witness.
inline std::string tree_note(const PrivateKey& tree_key) {
  const auto tree = record::LogId::of(tree_key.public_key());
  std::string out = record::sign_checkpoint(
      {record::log_origin(kRegistry, tree), 1, record::tree_leaf(encode(checkpoint_entry()))},
      tree_key);
  const auto add = [&out](std::string name, const PrivateKey& key) {
    out = *record::add_cosignature(out, {std::move(name), 7, *record::cosign(out, 7, key)},
                                   key.public_key());
  };
  add(record::log_origin(kNode, head().log), log_key());
  add(std::string(kWitness), witness_key());
  return out;
}

inline cli::DecisionProof decision_proof() {
  const PrivateKey tree_key = PrivateKey::from_seed({7, 8, 9});
  const record::TlogProof in_tree{0, {}, tree_note(tree_key)};
  const auto proven = [&in_tree](record::Position position) {
    const record::TlogProof in_log{position, record::inclusion_proof(position, leaves()),
                                   head().checkpoint};
    return cli::ProvenRecord{records()[position],
                             record::leaf_salt(segment().head.secret, position), to_text(in_log),
                             encode(checkpoint_entry()), to_text(in_tree)};
  };
  cli::DecisionProof out;
  out.id = record::DecisionAddress::of(head().log, 1, 2).text();
  out.decision = proven(2);
  out.active = proven(1);
  out.log_announcement = announcement();
  out.tree_announcement = announcement(kRegistry, tree_key);
  out.cosigners = {{std::string(kNode), out.log_announcement}};
  return out;
}

// By name. The first byte is the number of the reader in fuzz_proof.cpp.
inline std::map<std::string, Bytes> proof_seeds() {
  const auto with = [](char reader, std::string_view rest) {
    return Bytes(1, reader).append(rest);
  };
  const std::string note = tree_note(PrivateKey::from_seed({7, 8, 9}));
  return {{"add_checkpoint",
           with(0, record::add_checkpoint_body({1, {sha256("one"), sha256("two")}, note}))},
          {"add_checkpoint_first", with(0, record::add_checkpoint_body({0, {}, note}))},
          {"proof", with(1, to_json_text(decision_proof()))},
          {"edits", with(2, {"\x00\x00\x05\x01\x02\x00\x40\x80", 8})}};
}

}  // namespace notp::fuzz
