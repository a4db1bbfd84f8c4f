# Third-party packages. Debian has no CMake package file for Protobuf 3.21 (FindProtobuf serves) nor
# for libgit2, libzstd, libarchive and utf8proc (pkg-config serves).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(OpenSSL 3.0 REQUIRED)
find_package(Protobuf 3.21 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(SQLiteCpp REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(benchmark REQUIRED)
find_package(valijson REQUIRED)
find_package(simdjson REQUIRED)
find_package(LibArchive REQUIRED)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd>=1.5.4)
pkg_check_modules(git2 REQUIRED IMPORTED_TARGET libgit2>=1.5.1)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3>=3.40)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)

# Asio is compiled once, in common/asio/asio.cpp, instead of in every file that includes it.
add_library(notp_asio_headers INTERFACE)
target_compile_definitions(notp_asio_headers INTERFACE
    BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_BEAST_SEPARATE_COMPILATION)
target_link_libraries(notp_asio_headers INTERFACE Boost::headers Threads::Threads)
