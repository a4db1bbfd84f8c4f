#include "protocol/record/tlog_proof.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "protocol/record/note_text.hpp"

namespace notp::record {
namespace {

constexpr std::string_view kHeader = "c2sp.org/tlog-proof@v1";
constexpr std::string_view kExtra = "extra ", kIndex = "index ";

std::unexpected<Error> refuse(std::string_view why) {
  return fail(ErrorCode::kMessage, fmt::format("a proof of inclusion: {}", why));
}

}  // namespace

std::string hash_lines(const std::vector<Hash>& hashes) {
  std::string out;
  for (const Hash& hash : hashes) out += to_base64(hash.view()) + "\n";
  return out;
}

Result<Hash> parse_hash_line(std::string_view line) {
  const auto bytes = strict_base64(line);
  if (!bytes || bytes->size() != Hash::kSize) return refuse("a line is not a hash in base64");
  return Hash::from_bytes(*bytes);
}

std::string to_text(const TlogProof& proof) {
  return fmt::format("{}\n{}{}\n{}\n{}", kHeader, kIndex, proof.index, hash_lines(proof.inclusion),
                     proof.checkpoint);
}

Result<TlogProof> parse_tlog_proof(std::string_view text) {
  if (take_line(text) != kHeader) return refuse(fmt::format("it does not begin with {}", kHeader));
  auto line = take_line(text);
  if (line && line->starts_with(kExtra)) line = take_line(text);
  if (!line || !line->starts_with(kIndex)) return refuse("it has no index");
  TlogProof out;
  const auto index = decimal(line->substr(kIndex.size()));
  if (!index || *index >= limits::kPositionMax) return refuse("its index is none");
  out.index = *index;
  for (line = take_line(text); line && !line->empty(); line = take_line(text)) {
    if (out.inclusion.size() == limits::kProofHashesMax)
      return refuse(fmt::format("it has more than {} hashes", limits::kProofHashesMax));
    NOTP_ASSIGN(const Hash hash, parse_hash_line(*line));
    out.inclusion.push_back(hash);
  }
  if (!line || text.empty() || text.size() > limits::kCheckpointBytesMax)
    return refuse("it has no checkpoint, or one that is too long");
  out.checkpoint = text;
  return out;
}

}  // namespace notp::record
