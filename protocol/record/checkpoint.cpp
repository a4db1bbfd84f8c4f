#include "protocol/record/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/record/note_text.hpp"

namespace notp::record {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr std::string_view kSignatureStart = "— ";
// The algorithms' numbers in C2SP signed-note.
constexpr char kEd25519 = 1, kCosignatureV1 = 4;
constexpr size_t kKeyIdBytes = 4;

std::unexpected<Error> refuse(std::string_view why) {
  return fail(ErrorCode::kMessage, fmt::format("a checkpoint: {}", why));
}

Bytes key_id(std::string_view name, const PublicKey& key, char algorithm = kEd25519) {
  const char middle[] = {'\n', algorithm};
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

// --- cosignatures

namespace {

constexpr size_t kTimeBytes = 8;

std::string signature_line(std::string_view name, ByteView key_id, ByteView signature) {
  return fmt::format("{}{} {}\n", kSignatureStart, name,
                     to_base64(Bytes(key_id).append(signature)));
}

Bytes cosigned_text(std::string_view text, int64_t time_s) {
  return fmt::format("cosignature/v1\ntime {}\n{}", time_s, text);
}

Bytes big_endian(int64_t value) {
  Bytes out(kTimeBytes, '\0');
  for (size_t i = 0; i < kTimeBytes; ++i)
    out[i] = static_cast<char>(static_cast<uint64_t>(value) >> (8 * (kTimeBytes - 1 - i)));
  return out;
}

int64_t from_big_endian(ByteView bytes) {
  uint64_t out = 0;
  for (const char byte : bytes) out = out << 8 | static_cast<unsigned char>(byte);
  return static_cast<int64_t>(out);
}

}  // namespace

Result<Bytes> cosign(std::string_view note, int64_t time_s, const PrivateKey& key) {
  NOTP_ASSIGN(const Note read, read_note(note));
  return key.sign(cosigned_text(read.text, time_s));
}

bool verify_cosignature(std::string_view note, int64_t time_s, ByteView signature,
                        const PublicKey& key) {
  const auto read = read_note(note);
  return read && time_s >= 0 && verify_signature(key, cosigned_text(read->text, time_s), signature);
}

std::string cosignature_line(const Cosignature& cosignature, const PublicKey& key) {
  return signature_line(cosignature.name, key_id(cosignature.name, key, kCosignatureV1),
                        big_endian(cosignature.time_s) + cosignature.signature);
}

Result<std::string> add_cosignature(std::string_view note, const Cosignature& cosignature,
                                    const PublicKey& key) {
  NOTP_ASSIGN(const Note read, read_note(note));
  if (!is_name(cosignature.name)) return refuse("the name of a cosigner is not one word");
  const Bytes id = key_id(cosignature.name, key, kCosignatureV1);
  std::string out = fmt::format("{}\n", read.text);
  size_t others = 0;
  for (const SignatureLine& line : read.signatures) {
    if (line.name == cosignature.name && line.key_id == id) continue;
    others += line.name == read.checkpoint.origin ? 0 : 1;
    out += signature_line(line.name, line.key_id, line.signature);
  }
  out += cosignature_line(cosignature, key);
  if (others >= limits::kCosignaturesMax || out.size() > limits::kCheckpointBytesMax)
    return fail(ErrorCode::kLimit,
                fmt::format("the checkpoint of {} at {} has as many cosignatures as it can hold",
                            read.checkpoint.origin, read.checkpoint.size));
  return out;
}

Result<int64_t> cosigned_at(std::string_view note, std::string_view name, const PublicKey& key) {
  NOTP_ASSIGN(const Note read, read_note(note));
  const Bytes id = key_id(name, key, kCosignatureV1);
  for (const SignatureLine& line : read.signatures) {
    if (line.name != name || line.key_id != id || line.signature.size() <= kTimeBytes) continue;
    const int64_t time_s = from_big_endian(ByteView(line.signature).substr(0, kTimeBytes));
    if (time_s >= 0 && verify_signature(key, cosigned_text(read.text, time_s),
                                        ByteView(line.signature).substr(kTimeBytes)))
      return time_s;
    break;
  }
  return fail(ErrorCode::kSignature,
              fmt::format("the checkpoint of {} at {} has no valid cosignature of {}",
                          read.checkpoint.origin, read.checkpoint.size, printable(name)));
}

std::vector<std::string> signer_names(std::string_view note) {
  std::vector<std::string> out;
  if (const auto read = read_note(note))
    for (const SignatureLine& line : read->signatures) out.emplace_back(line.name);
  return out;
}

std::string named_key_text(const NamedKey& key) {
  const char algorithm = key.cosigns ? kCosignatureV1 : kEd25519;
  return fmt::format("{}+{}+{}", key.name, to_hex(key_id(key.name, key.key, algorithm)),
                     to_base64(Bytes(1, algorithm).append(key.key.view())));
}

Result<NamedKey> parse_named_key(std::string_view text) {
  const auto refuse_key = [&] {
    return fail(ErrorCode::kMessage,
                fmt::format("'{}' is no key of a log or witness: <name>+<key id>+<base64>",
                            printable(text)));
  };
  const size_t first = text.find('+');
  const size_t second = first == text.npos ? text.npos : text.find('+', first + 1);
  if (second == text.npos || !is_name(text.substr(0, first))) return refuse_key();
  const auto bytes = strict_base64(text.substr(second + 1));
  if (!bytes || bytes->size() != 1 + sizeof(PublicKey::bytes)) return refuse_key();
  const char algorithm = bytes->front();
  if (algorithm != kEd25519 && algorithm != kCosignatureV1) return refuse_key();
  NamedKey out;
  out.name = text.substr(0, first);
  NOTP_ASSIGN(out.key, PublicKey::from_bytes(ByteView(*bytes).substr(1)));
  out.cosigns = algorithm == kCosignatureV1;
  if (to_hex(key_id(out.name, out.key, algorithm)) != text.substr(first + 1, second - first - 1))
    return refuse_key();
  return out;
}

Result<Cosignature> cosignature_in(std::string_view lines, const NamedKey& key,
                                   std::string_view note) {
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    const auto read = read_signature(line);
    if (!read || read->name != key.name || read->signature.size() != kTimeBytes + kSignatureBytes)
      continue;
    Cosignature out{key.name, from_big_endian(ByteView(read->signature).substr(0, kTimeBytes)),
                    read->signature.substr(kTimeBytes)};
    // A key may have several lines, and a name several keys.
    if (verify_cosignature(note, out.time_s, out.signature, key.key)) return out;
  }
  return fail(ErrorCode::kMessage,
              fmt::format("the answer has no cosignature of {}", printable(key.name)));
}

}  // namespace notp::record
