#include "notp-server/registry/git_pack.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <zlib.h>

#include <array>
#include <limits>

#include "common/assert.hpp"

namespace notp {
namespace {

// Above this, deflate's default level costs more time than the disk space is worth.
constexpr size_t kWellCompressedBytesMax = 256 << 10;
constexpr size_t kOutputBytes = 256 << 10;

class Sha1 {
 public:
  Sha1() : context_(EVP_MD_CTX_new()) {
    NOTP_ASSERT(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha1(), nullptr) == 1,
                "OpenSSL has SHA-1");
  }
  void update(ByteView bytes) {
    NOTP_ASSERT(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "SHA-1 update");
  }
  GitId finish() {
    GitId id;
    NOTP_ASSERT(EVP_DigestFinal_ex(context_.get(), id.data(), nullptr) == 1, "SHA-1 final");
    return id;
  }

 private:
  CPointer<EVP_MD_CTX, EVP_MD_CTX_free> context_;
};

ByteView view(const GitId& id) { return {reinterpret_cast<const char*>(id.data()), id.size()}; }

Bytes big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

// Type and size in front of each object: 4 bits of the size beside the type, then 7 a byte.
Bytes object_header(git_object_t type, size_t size) {
  Bytes header;
  auto byte = static_cast<uint8_t>((static_cast<unsigned>(type) << 4) | (size & 0x0f));
  for (size >>= 4; size != 0; size >>= 7) {
    header.push_back(static_cast<char>(byte | 0x80));
    byte = size & 0x7f;
  }
  header.push_back(static_cast<char>(byte));
  return header;
}

class Deflater {
 public:
  Deflater() = default;
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater() {
    if (ready_) deflateEnd(&stream_);
  }
  Result<void> start(int level) {
    ready_ = deflateInit(&stream_, level) == Z_OK;
    if (!ready_) return fail(ErrorCode::kInternal, "zlib cannot be initialised");
    return {};
  }
  // Feeds `content`, at most 4 GiB, to its end; `sink` takes each piece of output.
  template <typename Sink>
  Result<void> run(ByteView content, Sink&& sink) {
    NOTP_ASSERT(content.size() <= std::numeric_limits<uInt>::max(), "kBlobBytesMax is far below");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
    stream_.avail_in = static_cast<uInt>(content.size());
    int status = Z_OK;
    while (status != Z_STREAM_END) {
      stream_.next_out = reinterpret_cast<Bytef*>(output_.data());
      stream_.avail_out = static_cast<uInt>(output_.size());
      status = deflate(&stream_, Z_FINISH);
      NOTP_ASSERT(status == Z_OK || status == Z_STREAM_END, "deflate has room for output");
      NOTP_TRY(sink(ByteView(output_.data(), output_.size() - stream_.avail_out)));
    }
    return {};
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
  Bytes output_ = Bytes(kOutputBytes, '\0');
};

// The pack's bytes on their way into libgit2's indexer, with the checksum that ends them.
class PackStream {
 public:
  Result<void> open(const std::filesystem::path& folder) {
    git_indexer* raw = nullptr;
    if (git_indexer_new(&raw, folder.c_str(), 0, nullptr, nullptr) != 0)
      return git_failed("start a pack in " + folder.string());
    indexer_.reset(raw);
    return {};
  }
  Result<void> put(ByteView bytes) {
    checksum_.update(bytes);
    return append(bytes);
  }
  // The indexer flushes each of index and pack before it gets its name, and the folder after.
  Result<void> finish() {
    NOTP_TRY(append(view(checksum_.finish())));
    if (git_indexer_commit(indexer_.get(), &progress_) != 0) return git_failed("write the pack");
    return {};
  }

 private:
  Result<void> append(ByteView bytes) {
    if (git_indexer_append(indexer_.get(), bytes.data(), bytes.size(), &progress_) != 0)
      return git_failed("write the pack");
    return {};
  }

  GitIndexerPtr indexer_;
  git_indexer_progress progress_{};
  Sha1 checksum_;
};

bool is_unfinished(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  if (name.starts_with("tmp_") || name.starts_with("pack_git2_") || name.ends_with(".lock"))
    return true;
  std::error_code error;
  return file.extension() == ".idx" &&
         !std::filesystem::exists(std::filesystem::path(file).replace_extension(".pack"), error) &&
         !error;
}

}  // namespace

GitId git_object_id(git_object_t type, ByteView content) {
  Sha1 hash;
  const std::string header = fmt::format("{} {}", git_object_type2string(type), content.size());
  hash.update(ByteView(header.c_str(), header.size() + 1));
  hash.update(content);
  return hash.finish();
}

GitId GitPack::add(git_object_t type, Bytes content) {
  const GitId id = git_object_id(type, content);
  if (ids_.contains(id)) return id;
  owned_.push_back(std::move(content));
  add_view(id, type, owned_.back());
  return id;
}

void GitPack::add_view(const GitId& id, git_object_t type, ByteView content) {
  if (ids_.insert(id).second) objects_.push_back({type, content});
}

Result<void> GitPack::write(const std::filesystem::path& folder) const {
  if (objects_.empty()) return {};
  PackStream stream;
  NOTP_TRY(stream.open(folder));
  const auto sink = [&](ByteView bytes) { return stream.put(bytes); };
  NOTP_TRY(stream.put("PACK" + big_endian(2) + big_endian(static_cast<uint32_t>(objects_.size()))));
  for (const Object& object : objects_) {
    NOTP_TRY(stream.put(object_header(object.type, object.content.size())));
    Deflater deflater;
    NOTP_TRY(deflater.start(
        object.content.size() > kWellCompressedBytesMax ? Z_BEST_SPEED : Z_DEFAULT_COMPRESSION));
    NOTP_TRY(deflater.run(object.content, sink));
  }
  return stream.finish();
}

Result<void> remove_unfinished_packs(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> unfinished;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error))
    if (is_unfinished(it->path())) unfinished.push_back(it->path());
  for (const auto& file : unfinished)
    if (!error) std::filesystem::remove(file, error);
  if (error)
    return fail(ErrorCode::kIo, fmt::format("cannot clear unfinished packs in {}: {}",
                                            folder.string(), error.message()));
  return {};
}

}  // namespace notp
