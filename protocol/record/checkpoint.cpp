#include "protocol/record/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/limits.hpp"

namespace notp::record {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr std::string_view kSignatureStart = "— ";
constexpr char kEd25519 = 1;  // the algorithm's number in C2SP signed-note
constexpr size_t kKeyIdBytes = 4;

std::unexpected<Error> refuse(std::string_view why) {
  return fail(ErrorCode::kMessage, fmt::format("a checkpoint: {}", why));
}

Bytes key_id(std::string_view name, const PublicKey& key) {
  const char middle[] = {'\n', kEd25519};
  const Hash hash =
      Sha256().update(name).update({middle, sizeof middle}).update(key.view()).finish();
  return Bytes(hash.view().substr(0, kKeyIdBytes));
}

// A name is one word without '+'; the origin is used as one.
bool is_name(std::string_view name) {
  return !name.empty() && is_utf8(name) && std::ranges::all_of(name, [](char c) {
    return c != '+' && c != '\x7f' && (c > ' ' || c < '\0');
  });
}

// Standard base64 in its one form.
std::optional<Bytes> strict_base64(std::string_view text) {
  auto bytes = from_base64(text);
  if (!bytes || to_base64(*bytes) != text) return std::nullopt;
  return *std::move(bytes);
}

// Takes a line off the front, without its end; nullopt when none ends.
std::optional<std::string_view> take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == text.npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

std::optional<uint64_t> decimal(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || fmt::to_string(value) != text) return std::nullopt;
  return value;
}

std::string text_of(const Checkpoint& checkpoint) {
  return fmt::format("{}\n{}\n{}\n", checkpoint.origin, checkpoint.size,
                     to_base64(checkpoint.root.view()));
}

struct SignatureLine {
  std::string_view name;
  Bytes key_id, signature;
};

std::optional<SignatureLine> read_signature(std::string_view line) {
  if (!line.starts_with(kSignatureStart)) return std::nullopt;
  line.remove_prefix(kSignatureStart.size());
  const size_t space = line.find(' ');
  if (space == line.npos || !is_name(line.substr(0, space))) return std::nullopt;
  const auto bytes = strict_base64(line.substr(space + 1));
  if (!bytes || bytes->size() <= kKeyIdBytes) return std::nullopt;
  return SignatureLine{line.substr(0, space), bytes->substr(0, kKeyIdBytes),
                       bytes->substr(kKeyIdBytes)};
}

struct Note {
  std::string_view text;  // what is signed, with the end of its last line
  Checkpoint checkpoint;
  std::vector<SignatureLine> signatures;
};

Result<Checkpoint> read_text(std::string_view text) {
  Checkpoint out;
  const auto origin = take_line(text), size = take_line(text), root = take_line(text);
  if (!root || !text.empty())
    return refuse("its text is not the three lines of origin, size and root");
  if (!is_name(*origin)) return refuse("its origin is not one word");
  const auto number = decimal(*size);
  if (!number || *number > limits::kPositionMax) return refuse("its size is not a log's");
  const auto bytes = strict_base64(*root);
  if (!bytes || bytes->size() != Hash::kSize) return refuse("its root is not 32 bytes in base64");
  out.origin = *origin;
  out.size = *number;
  NOTP_ASSIGN(out.root, Hash::from_bytes(*bytes));
  return out;
}

Result<Note> read_note(std::string_view note) {
  if (note.size() > limits::kCheckpointBytesMax)
    return refuse(fmt::format("it has {} bytes, at most {} are read", note.size(),
                              limits::kCheckpointBytesMax));
  const size_t blank = note.find("\n\n");
  if (blank == note.npos) return refuse("it is not a signed note");
  Note out;
  out.text = note.substr(0, blank + 1);
  NOTP_ASSIGN(out.checkpoint, read_text(out.text));
  for (std::string_view rest = note.substr(blank + 2); !rest.empty();) {
    const auto line = take_line(rest);
    auto signature = line ? read_signature(*line) : std::nullopt;
    if (!signature) return refuse("a line below its text is not a signature");
    out.signatures.push_back(*std::move(signature));
  }
  if (out.signatures.empty()) return refuse("it is not signed");
  return out;
}

}  // namespace

std::string log_origin(std::string_view node, const LogId& log) {
  if (node.starts_with(kScheme)) node.remove_prefix(kScheme.size());
  const size_t slash = std::min(node.find('/'), node.size());
  return fmt::format("{}/decisions{}/{}", node.substr(0, slash), node.substr(slash), log.hex());
}

std::string sign_checkpoint(const Checkpoint& checkpoint, const PrivateKey& key) {
  const std::string text = text_of(checkpoint);
  return fmt::format("{}\n{}{} {}\n", text, kSignatureStart, checkpoint.origin,
                     to_base64(key_id(checkpoint.origin, key.public_key()) + key.sign(text)));
}

Result<Checkpoint> verify_checkpoint(std::string_view note, const PublicKey& key) {
  NOTP_ASSIGN(Note read, read_note(note));
  const Bytes id = key_id(read.checkpoint.origin, key);
  // By the note's rules one key signs once: the first line that names it decides.
  for (const SignatureLine& line : read.signatures) {
    if (line.name != read.checkpoint.origin || line.key_id != id) continue;
    if (verify_signature(key, read.text, line.signature)) return std::move(read.checkpoint);
    break;
  }
  return fail(ErrorCode::kSignature,
              fmt::format("the checkpoint of {} at {} has no valid signature of the log's key {}",
                          read.checkpoint.origin, read.checkpoint.size, key.keyid()));
}

Result<Checkpoint> parse_checkpoint(std::string_view note) {
  NOTP_ASSIGN(Note read, read_note(note));
  return std::move(read.checkpoint);
}

}  // namespace notp::record
