#include "protocol/record/tlog_proof.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "protocol/record/note_text.hpp"

namespace notp::record {
namespace {

constexpr std::string_view kHeader = "c2sp.org/tlog-proof@v1";
constexpr std::string_view kExtra = "extra ", kIndex = "index ", kOld = "old ";
// What is read.
constexpr std::string_view kProof = "a proof of inclusion", kRequest = "add-checkpoint";

std::unexpected<Error> refuse(std::string_view what, std::string_view why) {
  return fail(ErrorCode::kMessage, fmt::format("{}: {}", what, why));
}

std::string hash_lines(const std::vector<Hash>& hashes) {
  std::string out;
  for (const Hash& hash : hashes) out += to_base64(hash.view()) + "\n";
  return out;
}

// Takes the lines up to an empty one, and that one.
Result<std::vector<Hash>> take_hashes(std::string_view& text, std::string_view what) {
  std::vector<Hash> out;
  while (true) {
    const auto line = take_line(text);
    if (!line) return refuse(what, "it has no checkpoint");
    if (line->empty()) return out;
    if (out.size() == limits::kProofHashesMax)
      return refuse(what, fmt::format("it has more than {} hashes", limits::kProofHashesMax));
    const auto bytes = strict_base64(*line);
    if (!bytes || bytes->size() != Hash::kSize)
      return refuse(what, "a line is not a hash in base64");
    NOTP_ASSIGN(const Hash hash, Hash::from_bytes(*bytes));
    out.push_back(hash);
  }
}

}  // namespace

std::string to_text(const TlogProof& proof) {
  return fmt::format("{}\n{}{}\n{}\n{}", kHeader, kIndex, proof.index, hash_lines(proof.inclusion),
                     proof.checkpoint);
}

Result<TlogProof> parse_tlog_proof(std::string_view text) {
  if (take_line(text) != kHeader)
    return refuse(kProof, fmt::format("it does not begin with {}", kHeader));
  auto line = take_line(text);
  if (line && line->starts_with(kExtra)) line = take_line(text);
  if (!line || !line->starts_with(kIndex)) return refuse(kProof, "it has no index");
  TlogProof out;
  const auto index = decimal(line->substr(kIndex.size()));
  if (!index || *index >= limits::kPositionMax) return refuse(kProof, "its index is none");
  out.index = *index;
  NOTP_ASSIGN(out.inclusion, take_hashes(text, kProof));
  if (text.empty() || text.size() > limits::kCheckpointBytesMax)
    return refuse(kProof, "it has no checkpoint, or one that is too long");
  out.checkpoint = text;
  return out;
}

std::string add_checkpoint_body(const AddCheckpoint& request) {
  return fmt::format("{}{}\n{}\n{}", kOld, request.old_size, hash_lines(request.consistency),
                     request.note);
}

Result<AddCheckpoint> parse_add_checkpoint(std::string_view body) {
  if (body.size() > kAddCheckpointBytesMax)
    return refuse(kRequest, fmt::format("more than {} bytes", kAddCheckpointBytesMax));
  const auto first = take_line(body);
  if (!first || !first->starts_with(kOld))
    return refuse(kRequest, "it does not begin with an old size");
  const auto old_size = decimal(first->substr(kOld.size()));
  if (!old_size) return refuse(kRequest, "its old size is no number");
  AddCheckpoint out;
  out.old_size = *old_size;
  NOTP_ASSIGN(out.consistency, take_hashes(body, kRequest));
  out.note = body;
  return out;
}

}  // namespace notp::record
