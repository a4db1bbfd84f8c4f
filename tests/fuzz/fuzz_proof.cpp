// What a witness is asked, and the file that proves a decision. The first byte chooses: 0 the
// request to add a checkpoint, 1 the file, 2 changes to a proof that holds: for each the number of
// the field, a place in it (two bytes), and what is changed there. Each is refused, or read within
// its limits, and a proof that holds is of the record that the node has signed.
#include "common/assert.hpp"
#include "common/limits.hpp"
#include "protocol/record/tlog_proof.hpp"
#include "tests/fuzz/proof_seeds.hpp"
#include "tools/notp/audit/proof_check.hpp"

namespace {

using namespace notp;

void read_request(std::string_view body) {
  const auto request = record::parse_add_checkpoint(body);
  if (!request) {
    NOTP_ASSERT(request.error().code == ErrorCode::kMessage, "a refusal with a foreign code");
    return;
  }
  NOTP_ASSERT(request->consistency.size() <= limits::kProofHashesMax, "more hashes than a proof");
  NOTP_ASSERT(record::add_checkpoint_body(*request) == body, "a request has one form");
}

// The same with and without anchors: a proof that holds with them holds without.
void check(const cli::DecisionProof& proof) {
  cli::ProofAnchors anchors;
  const cli::ProofReport bare = cli::check_proof(proof, anchors);
  NOTP_ASSERT(bare.error || bare.decision, "a proof that holds is one of a decision");
  NOTP_ASSERT(bare.error || !bare.unchecked.empty(), "without anchors something is not checked");
  anchors.witnesses = {{std::string(fuzz::kWitness), fuzz::witness_key().public_key(), true}};
  const cli::ProofReport anchored = cli::check_proof(proof, anchors);
  NOTP_ASSERT(anchored.error || (!bare.error && anchored.cosigned > bare.cosigned),
              "the witness has cosigned what holds");
}

void read_file(std::string_view text) {
  const auto proof = cli::parse_decision_proof(text);
  if (!proof) return;
  NOTP_ASSERT(proof->cosigners.size() <= limits::kCosignaturesMax &&
                  proof->releases.size() <= limits::kLedgersPerSessionMax &&
                  proof->roots.size() <= cli::kProofRootsMax,
              "a proof within its limits");
  const std::string again = to_json_text(*proof);
  const auto same = cli::parse_decision_proof(again);
  NOTP_ASSERT(same && to_json_text(*same) == again, "a proof is read as it was written");
  check(*proof);
}

void check_edits(ByteView edits) {
  static const cli::DecisionProof honest = fuzz::decision_proof();
  NOTP_ASSERT(!edits.empty() || !cli::check_proof(honest, {}).error, "the honest proof holds");
  cli::DecisionProof proof = honest;
  std::string* const fields[] = {&proof.decision.record,   &proof.decision.salt,
                                 &proof.decision.in_log,   &proof.decision.entry,
                                 &proof.decision.in_tree,  &proof.active->record,
                                 &proof.active->salt,      &proof.active->in_log,
                                 &proof.active->entry,     &proof.active->in_tree,
                                 &proof.log_announcement,  &proof.tree_announcement,
                                 &proof.cosigners[0].node, &proof.cosigners[0].announcement};
  for (; edits.size() >= 4; edits.remove_prefix(4)) {
    std::string& field = *fields[static_cast<uint8_t>(edits[0]) % std::size(fields)];
    const size_t place = static_cast<uint8_t>(edits[1]) * 256U + static_cast<uint8_t>(edits[2]);
    field[place % field.size()] ^= edits[3];
  }
  check(proof);
  const cli::ProofReport report = cli::check_proof(proof, {});
  if (report.error) return;
  NOTP_ASSERT(proof.decision.record == honest.decision.record &&
                  proof.active->record == honest.active->record,
              "a changed record is not proven");
  NOTP_ASSERT(proof.decision.entry == honest.decision.entry, "nor is another leaf");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      read_request(rest);
      break;
    case 1:
      read_file(rest);
      break;
    default:
      check_edits(rest);
  }
  return 0;
}
