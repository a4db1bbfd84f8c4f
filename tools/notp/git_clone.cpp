#include "tools/notp/git_clone.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>

#include "common/limits.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kTagBytesMax = 1 << 20;
constexpr size_t kFolderBytesMax = 64 << 20;  // kModelFilesMax names in one folder
constexpr size_t kLineBytesMax = 4096;
constexpr size_t kGitIdBytes = 20;
constexpr std::string_view kEnvelopeBegin = "-----BEGIN NOTP ENVELOPE-----\n";
constexpr std::string_view kEnvelopeEnd = "-----END NOTP ENVELOPE-----\n";

struct Pipe {
  int read = -1, write = -1;

  static Result<Pipe> make() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
      return fail(ErrorCode::kIo, fmt::format("cannot make a pipe: {}", std::strerror(errno)));
    return Pipe{ends[0], ends[1]};
  }
};

std::vector<std::string> git_environment(Environment environment, const fs::path& path) {
  std::error_code error;
  environment["GIT_CEILING_DIRECTORIES"] = fs::absolute(path, error).parent_path().string();
  environment["GIT_NO_REPLACE_OBJECTS"] = "1";
  environment["GIT_NO_LAZY_FETCH"] = "1";
  environment["GIT_TERMINAL_PROMPT"] = "0";
  environment.erase("GIT_DIR");
  std::vector<std::string> out;
  for (const auto& [name, value] : environment) out.push_back(fmt::format("{}={}", name, value));
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

Result<pid_t> start_git(const fs::path& path, const Environment& environment, int input,
                        int output) {
  std::vector<std::string> words{"git", "-C", path.string(), "cat-file", "--batch"};
  std::vector<std::string> variables = git_environment(environment, path);
  std::vector<char*> arguments = pointers(words), env = pointers(variables);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = -1;
  const int failed = ::posix_spawnp(&child, "git", &actions, nullptr, arguments.data(), env.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0)
    return std::unexpected(
        Error{ErrorCode::kUsage, fmt::format("cannot run git: {}", std::strerror(failed)), {}}.with(
            "hint", "install git: it reads the repository"));
  return child;
}

Result<Bytes> envelope_in(std::string_view message) {
  const size_t begin = message.find(kEnvelopeBegin), end = message.rfind(kEnvelopeEnd);
  if (begin == message.npos || end == message.npos || end < begin)
    return fail(ErrorCode::kCorrupt, "it holds no NOTP envelope");
  const size_t first = begin + kEnvelopeBegin.size();
  auto envelope = from_base64(message.substr(first, end - first));
  if (!envelope) return fail(ErrorCode::kCorrupt, "its envelope is not base64");
  return envelope;
}

}  // namespace

Result<GitClone> GitClone::open(const fs::path& path, const Environment& environment) {
  std::error_code error;
  if (!fs::is_directory(path, error))
    return fail(ErrorCode::kNotFound, fmt::format("there is no folder {}", path.string()));
  NOTP_ASSIGN(const Pipe to_git, Pipe::make());
  NOTP_ASSIGN(const Pipe from_git, Pipe::make());
  const auto child = start_git(path, environment, to_git.read, from_git.write);
  ::close(to_git.read);
  ::close(from_git.write);
  ::signal(SIGPIPE, SIG_IGN);
  GitClone clone(path, child ? *child : -1, to_git.write, from_git.read);
  if (!child) return std::unexpected(child.error());
  // git ends at once when it finds no repository.
  if (!clone.read("refs/heads/main", kTagBytesMax))
    return std::unexpected(Error{
        ErrorCode::kNotFound,
        fmt::format("git reads no repository at {}", path.string()),
        {}}.with("hint", fmt::format("'git -C {} log' says why", path.string())));
  return clone;
}

GitClone::GitClone(GitClone&& other) noexcept
    : path_(std::move(other.path_)),
      child_(std::exchange(other.child_, -1)),
      input_(std::exchange(other.input_, -1)),
      output_(std::exchange(other.output_, -1)),
      buffer_(std::move(other.buffer_)),
      folders_(std::move(other.folders_)),
      files_(std::move(other.files_)) {}

GitClone::~GitClone() {
  if (input_ >= 0) ::close(input_);
  if (output_ >= 0) ::close(output_);
  int status = 0;
  if (child_ > 0)
    while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
}

std::unexpected<Error> GitClone::corrupt(std::string what) const {
  return fail(ErrorCode::kCorrupt, fmt::format("{}: {}", path_.string(), what));
}

Result<Bytes> GitClone::read_bytes(size_t count) {
  std::array<char, 1 << 16> block{};
  while (buffer_.size() < count) {
    const ssize_t got = ::read(output_, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return corrupt("git ended before it had answered");
    buffer_.append(block.data(), static_cast<size_t>(got));
  }
  Bytes out = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return out;
}

Result<std::string> GitClone::read_line() {
  while (true) {
    const size_t end = buffer_.find('\n');
    if (end != buffer_.npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    if (buffer_.size() > kLineBytesMax) return corrupt("git answers in a way that is not known");
    const size_t had = buffer_.size();
    NOTP_ASSIGN(Bytes more, read_bytes(had + 1));
    buffer_.insert(0, more);
  }
}

// gitformat: "<id> SP <type> SP <size> LF <content> LF", or "<name> SP missing LF".
Result<std::optional<GitClone::Object>> GitClone::read(const std::string& name, size_t bytes_max) {
  const std::string question = name + "\n";
  if (::write(input_, question.data(), question.size()) != static_cast<ssize_t>(question.size()))
    return corrupt("git does not take a question");
  NOTP_ASSIGN(const std::string line, read_line());
  if (line.ends_with(" missing")) return std::nullopt;
  const size_t first = line.find(' '), second = line.rfind(' ');
  uint64_t size = 0;
  const char* end = line.data() + line.size();
  if (first == line.npos || second == first ||
      std::from_chars(line.data() + second + 1, end, size).ptr != end)
    return corrupt(fmt::format("git says '{}' of {}", printable(line), name));
  if (size > bytes_max)
    return corrupt(fmt::format("{} has {} bytes; {} are allowed", name, size, bytes_max));
  Object object{line.substr(0, first), line.substr(first + 1, second - first - 1), {}};
  NOTP_ASSIGN(object.content, read_bytes(size));
  NOTP_TRY(read_bytes(1));
  return object;
}

Result<std::optional<std::string>> GitClone::tag_message(const std::string& tag) {
  NOTP_ASSIGN(const std::optional<Object> object, read("refs/tags/" + tag, kTagBytesMax));
  if (!object) return std::nullopt;
  const size_t head = object->content.find("\n\n");
  if (object->type != "tag" || head == object->content.npos)
    return corrupt(fmt::format("{} is not an annotated tag", tag));
  return object->content.substr(head + 2);
}

Result<std::optional<Bytes>> GitClone::envelope(uint64_t version) {
  const std::string tag = fmt::format("v{}", version);
  NOTP_ASSIGN(const std::optional<std::string> message, tag_message(tag));
  if (!message) return std::nullopt;
  auto envelope = envelope_in(*message);
  if (!envelope) return corrupt(fmt::format("tag {}: {}", tag, envelope.error().message));
  return *std::move(envelope);
}

Result<std::optional<std::string>> GitClone::withdrawal(uint64_t version) {
  return tag_message(fmt::format("withdrawn/v{}", version));
}

Result<std::optional<std::string>> GitClone::commit(const std::string& name) {
  NOTP_ASSIGN(const std::optional<Object> object, read(name + "^{commit}", kTagBytesMax));
  if (!object) return std::nullopt;
  return object->id;
}

// --- content

struct GitClone::Reading {
  Files files;
  uint64_t bytes_left = 0;
  uint64_t files_left = 0;
};

// A tree object: for each entry "<mode> SP <name> NUL <20 bytes of id>".
Result<const std::vector<GitClone::Entry>*> GitClone::folder(const std::string& id) {
  if (const auto known = folders_.find(id); known != folders_.end()) return &known->second;
  NOTP_ASSIGN(const std::optional<Object> object, read(id, kFolderBytesMax));
  if (!object || object->type != "tree") return corrupt(fmt::format("{} is no folder", id));
  std::vector<Entry> entries;
  for (ByteView rest = object->content; !rest.empty();) {
    const size_t space = rest.find(' '), zero = rest.find('\0');
    if (zero == rest.npos || space >= zero || rest.size() - zero - 1 < kGitIdBytes)
      return corrupt(fmt::format("the folder {} cannot be read", id));
    const ByteView mode = rest.substr(0, space);
    const std::string name(rest.substr(space + 1, zero - space - 1));
    if (mode != "100644" && mode != "40000")
      return corrupt(fmt::format("'{}' is neither file nor folder", printable(name)));
    entries.push_back({mode == "40000", name, to_hex(rest.substr(zero + 1, kGitIdBytes))});
    rest.remove_prefix(zero + 1 + kGitIdBytes);
  }
  return &folders_.emplace(id, std::move(entries)).first->second;
}

Result<FileEntry> GitClone::file(const std::string& id, size_t bytes_max) {
  if (const auto known = files_.find(id); known != files_.end()) return known->second;
  NOTP_ASSIGN(const std::optional<Object> object, read(id, bytes_max));
  if (!object || object->type != "blob") return corrupt(fmt::format("{} is no file", id));
  const FileEntry entry{blob_hash(object->content), object->content.size()};
  files_.emplace(id, entry);
  return entry;
}

// Recursion is bounded by kPathDepthMax.
Result<void> GitClone::read_folder(Reading& reading, const std::string& id,
                                   const std::string& prefix, size_t depth) {
  if (depth > limits::kPathDepthMax) return corrupt(fmt::format("'{}' is too deep", prefix));
  NOTP_ASSIGN(const std::vector<Entry>* entries, folder(id));
  for (const Entry& entry : *entries) {
    const std::string path = prefix + entry.name;
    if (entry.is_folder) {
      NOTP_TRY(read_folder(reading, entry.id, path + "/", depth + 1));
      continue;
    }
    NOTP_ASSIGN(const FileEntry found,
                file(entry.id, std::min<uint64_t>(limits::kBlobBytesMax, reading.bytes_left)));
    if (found.bytes > reading.bytes_left || reading.files_left == 0)
      return fail(ErrorCode::kContentRoot,
                  fmt::format("at '{}' there is more than was signed", printable(path)));
    reading.bytes_left -= found.bytes;
    --reading.files_left;
    reading.files.emplace(path, found);
  }
  return {};
}

Result<Tree> GitClone::content(uint64_t version, const Release& release) {
  NOTP_ASSIGN(const std::optional<Object> root,
              read(fmt::format("refs/tags/v{}^{{tree}}", version), kFolderBytesMax));
  if (!root) return corrupt(fmt::format("the tag v{} names no content", version));
  Reading reading{{}, release.total_bytes, release.file_count};
  NOTP_TRY(read_folder(reading, root->id, "", 0));
  auto tree = Tree::make(std::move(reading.files));
  if (!tree) return corrupt(tree.error().message);
  return tree;
}

}  // namespace notp::cli
