# What scripts/demo and scripts/test share: what they need from the system and how it gets there,
# and the build. Sourced by bash, in the root of the source tree.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables of those who source it, and for them

say()
{
    printf '%s: %s\n' "$me" "$*" >&2
}

die()
{
    say "$*"
    exit 1
}

# --- what is needed ---
#
# One row a need: its name, how to see that it is met, and its package on each system ("-": the
# package is not known to this script, or the system has it from the start). What counts is whether
# the thing works, not who installed it; where nothing is missing, no package manager is started.
#
#    need        test                     apt             dnf               pacman          apk             zypper
needs_build='
     cc          compiles:                gcc+libc6-dev   gcc+glibc-devel   gcc             gcc+musl-dev    gcc
     cmake       command:cmake            cmake           cmake             cmake           cmake           cmake
     ninja       command:ninja            ninja-build     ninja-build       ninja           samurai         ninja
     pkg-config  command:pkg-config       pkg-config      pkgconf           pkgconf         pkgconf         pkg-config
     libpcap     module:libpcap           libpcap-dev     libpcap-devel     libpcap         libpcap-dev     libpcap-devel
     libmnl      module:libmnl            libmnl-dev      libmnl-devel      libmnl          libmnl-dev      libmnl-devel
     jansson     module:jansson           libjansson-dev  jansson-devel     jansson         jansson-dev     libjansson-devel
     openssl     module:openssl           libssl-dev      openssl-devel     openssl         openssl-dev     libopenssl-devel
     zlib        module:zlib              zlib1g-dev      zlib-devel        zlib            zlib-dev        zlib-devel
     zstd        module:libzstd           libzstd-dev     libzstd-devel     zstd            zstd-dev        libzstd-devel
     lz4         module:liblz4            liblz4-dev      lz4-devel         lz4             lz4-dev         liblz4-devel
     headers     header:linux/tcp.h       linux-libc-dev  kernel-headers    linux-api-headers linux-headers linux-glibc-devel
'
needs_demo='
     python3     python:http.server       python3         python3           python          python3         python3-base
'
needs_tests='
     asan        links:address,undefined  gcc             libasan+libubsan  -               -               -
     cmocka      module:cmocka            libcmocka-dev   libcmocka-devel   cmocka          cmocka-dev      libcmocka-devel
     clang       fuzzes:                  clang+compiler-rt clang+compiler-rt clang+compiler-rt clang+compiler-rt clang
     bats        command:bats             bats            bats              bats            bats            bats
     python3     python:unittest          python3         python3           python          python3         python3
     redis       command:redis-server     redis-server    redis             redis           redis           redis
     nginx       command:nginx            nginx           nginx             nginx           nginx           nginx
     curl        command:curl             curl            curl              curl            curl            curl
     iperf3      command:iperf3           iperf3          iperf3            iperf3          iperf3          iperf
     certificates command:openssl         openssl         openssl           openssl         openssl         openssl
     memcached   command:memcached        memcached       memcached         memcached       memcached       memcached
     dovecot     command:dovecot          dovecot-imapd+dovecot-pop3d dovecot   dovecot         dovecot+dovecot-pop3d dovecot
     vsftpd      command:vsftpd           vsftpd          vsftpd            vsftpd          vsftpd          vsftpd
     dropbear    command:dropbear         dropbear-bin    dropbear          dropbear        dropbear        dropbear
     sshd        command:sshd             openssh-server  openssh-server    openssh         openssh-server  openssh-server
     dnsmasq     command:dnsmasq          dnsmasq-base    dnsmasq           dnsmasq         dnsmasq         dnsmasq
     named       command:named            bind9           bind              bind            bind            bind
     postgres    postgres:                postgresql      postgresql-server postgresql    postgresql      postgresql-server
     mariadb     command:mariadbd         mariadb-server  mariadb-server    mariadb         mariadb         mariadb
     slapd       command:slapd            slapd           openldap-servers  openldap        openldap        openldap2
     mosquitto   command:mosquitto        mosquitto       mosquitto         mosquitto       mosquitto       mosquitto
     mandoc      command:mandoc           mandoc          mandoc            mandoc          mandoc          mandoc
     shellcheck  command:shellcheck       shellcheck      ShellCheck        shellcheck      shellcheck      ShellCheck
     tshark      command:tshark           tshark          wireshark-cli     wireshark-cli   tshark          wireshark
     tcpdump     command:tcpdump          tcpdump         tcpdump           tcpdump         tcpdump         tcpdump
     zsh         command:zsh              zsh             zsh               zsh             zsh             zsh
     fish        command:fish             fish            fish              fish            fish            fish
     services    service:http             netbase         setup             iana-etc        -               netcfg
     setpriv     command:setpriv          util-linux      util-linux        util-linux      setpriv         util-linux
     nsenter     command:nsenter          util-linux      util-linux        util-linux      util-linux-misc util-linux
     ip          command:ip               iproute2        iproute           iproute2        iproute2        iproute2
     qemu        command:qemu-system-x86_64 qemu-system-x86 qemu-system-x86-core qemu-system-x86 qemu-system-x86_64 qemu-x86
     busybox     command:busybox          busybox-static  busybox           busybox         busybox-static  busybox-static
     kmod        command:kmod             kmod            kmod              kmod            kmod            kmod
     cpio        command:cpio             cpio            cpio              cpio            cpio            cpio
'

managers=(apt-get dnf pacman apk zypper)

compiles() # source, compiler, flag…
{
    local source=$1 out status=0
    shift
    out=$(mktemp) || return 1
    printf '%s\n' "$source" | "$@" -x c - -o "$out" >/dev/null 2>&1 || status=1
    rm -f "$out"
    return "$status"
}

is_met() # the second column of a row
{
    local what=${1#*:} fuzzer='int LLVMFuzzerTestOneInput(const char *data, unsigned long size);
        int LLVMFuzzerTestOneInput(const char *data, unsigned long size) { return !data && size; }'
    case $1 in
    command:*) PATH=$PATH:/usr/sbin:/sbin command -v "$what" >/dev/null ;;
    postgres:) compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null ;;
    module:*) command -v pkg-config >/dev/null && pkg-config --exists "$what" ;;
    python:*) "$python" -c "import $what" >/dev/null 2>&1 ;;
    compiles:) compiles 'int main(void) { return 0; }' cc ;;
    service:*) getent services "$what" >/dev/null ;;
    links:*) compiles 'int main(void) { return 0; }' cc "-fsanitize=$what" ;;
    header:*) compiles "#include <$what>
        int main(void) { return 0; }" cc ;;
    fuzzes:) compiles "$fuzzer" clang -fsanitize=fuzzer,address,undefined ;;
    esac
}

# install_needs LIST…: sees to it that every row of the lists is met.
install_needs()
{
    local manager='' column=2 row fields missing=() packages=() names
    for names in "${managers[@]}"; do
        if command -v "$names" >/dev/null; then
            manager=$names
            break
        fi
        column=$((column + 1))
    done
    while read -r row; do
        read -ra fields <<<"$row"
        if [ ${#fields[@]} -eq 0 ] || is_met "${fields[1]}"; then
            continue
        fi
        missing+=("${fields[0]}")
        names=${fields[column]:--}
        [ "$names" = - ] || read -ra names <<<"${names//+/ }"
        [ "${names[0]}" = - ] || packages+=("${names[@]}")
    done < <(printf '%s\n' "$@")
    [ ${#missing[@]} -gt 0 ] || return 0

    say "missing: ${missing[*]}"
    [ -n "$manager" ] || die "none of ${managers[*]} is here; install these by hand and try again"
    [ ${#packages[@]} -gt 0 ] || die "no package is known for these; install them by hand"
    install_packages "$manager" "${packages[@]}"
    while read -r row; do
        read -ra fields <<<"$row"
        [ ${#fields[@]} -eq 0 ] || is_met "${fields[1]}" ||
            die "${fields[0]} is still missing after the installation (${fields[1]})"
    done < <(printf '%s\n' "$@")
}

# --- installing ---

as_root()
{
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

install_packages() # manager, package…
{
    local manager=$1
    shift
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        die "root has to install these, and sudo is not here: $manager install $*"
    fi
    say "installing with $manager: $*"
    case $manager in
    apt-get) install_with_apt "$@" ;;
    dnf) as_root dnf -y install "$@" ;;
    pacman) as_root pacman -S --needed --noconfirm "$@" ;;
    apk) as_root apk add "$@" ;;
    zypper) as_root zypper --non-interactive install "$@" ;;
    esac || die "$manager failed, see above"
}

# Its output is shown when it fails. Standard input is closed to questions.
apt()
{
    local output
    if ! output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
        -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 "$@" 2>&1 </dev/null); then
        printf '%s\n' "$output" >&2
        return 1
    fi
}

# The runtime of clang's sanitizers has a package of its own since Debian 12, named after clang's
# version where it has no common name; before that it came with clang.
clang_runtime()
{
    local version
    if apt-cache show libclang-rt-dev >/dev/null 2>&1; then
        echo libclang-rt-dev
        return
    fi
    version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p')
    if apt-cache show "libclang-rt-${version:-none}-dev" >/dev/null 2>&1; then
        echo "libclang-rt-$version-dev"
    fi
}

# Debian starts a server when its package is installed, now and at every boot. The tests start their
# own, on free ports, so the installed ones stay off: policy-rc.d forbids the start while apt runs
# (a policy that somebody else made is left as it is), and those that came in are disabled.
policy=/usr/sbin/policy-rc.d
policy_mark='# Made by netkit: no server starts while its packages are installed.'

forbid_starts()
{
    if [ -e "$policy" ] && ! grep -qsF "$policy_mark" "$policy"; then
        return
    fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

allow_starts()
{
    if grep -qsF "$policy_mark" "$policy"; then
        as_root rm -f "$policy"
    fi
}

install_without_starting() # package…: one or more servers among them
(
    trap allow_starts EXIT
    forbid_starts
    apt install --no-install-recommends "$@"
)

install_with_apt()
{
    local package wanted=() servers=()
    apt update || say "apt-get update failed; trying with the lists that are here"
    for package; do
        [ "$package" != compiler-rt ] || package=$(clang_runtime)
        [ -z "$package" ] || wanted+=("$package")
        case $package in
        redis-server | nginx | memcached | iperf3 | postgresql | slapd | mosquitto)
            servers+=("$package") ;;
        mariadb-server) servers+=(mariadb) ;;
        esac
    done
    if [ ${#servers[@]} -eq 0 ]; then
        apt install --no-install-recommends "${wanted[@]}"
        return
    fi
    install_without_starting "${wanted[@]}" || return
    for package in "${servers[@]}"; do
        [ ! -e "/etc/init.d/$package" ] || as_root update-rc.d "$package" disable >&2 || :
    done
}

# --- building ---

# Python as the distribution made it: one from elsewhere may lack the module, or be out of reach for
# other users.
python=/usr/bin/python3
[ -x "$python" ] || python=python3

# build PRESET DIRECTORY [CMAKE-OPTION…]: configures and builds, with ccache where that is installed;
# shows the log only if that fails.
build()
{
    local preset=$1 directory=$2 generator=() log
    shift 2
    if [ ! -f "$directory/CMakeCache.txt" ]; then
        ! command -v ninja >/dev/null || generator=(-G Ninja)
        ! command -v ccache >/dev/null || generator+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
    fi
    if ! mkdir -p "$directory" 2>/dev/null || [ ! -w "$directory" ]; then
        die "cannot write to $directory as $(id -un); a clone of your own will do"
    fi
    log=$directory/build.log
    if ! cmake --preset "$preset" -B "$directory" "${generator[@]}" "$@" >"$log" 2>&1 ||
        ! cmake --build "$directory" --parallel "$(nproc)" >>"$log" 2>&1; then
        cat "$log" >&2
        die "the build in $directory failed, see above"
    fi
}
