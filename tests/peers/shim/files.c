/* The files that stand for Xen. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim.h"

int real_open(const char *path, int flags, mode_t mode)
{
    static int (*real)(const char *, int, ...);

    if (!real)
        real = dlsym(RTLD_NEXT, "open");
    return real(path, flags, mode);
}

/* Asked for each time: a test that forks changes it. */
static const char *directory(void)
{
    const char *name = getenv("XENSHIM_DIR");

    return name && *name ? name : "/nonexistent";
}

void path_of(char path[PATH_SIZE], const char *name)
{
    snprintf(path, PATH_SIZE, "%s/%s", directory(), name);
}

void domain_path(char path[PATH_SIZE], const char *name, uint32_t domid)
{
    snprintf(path, PATH_SIZE, "%s/%s-%u", directory(), name, domid);
}

int has_file(const char *name, uint32_t domid)
{
    char path[PATH_SIZE];

    domain_path(path, name, domid);
    return access(path, F_OK) == 0;
}

void *map_ring(uint32_t domid, int create)
{
    char path[PATH_SIZE];
    struct stat status;
    void *page = MAP_FAILED;
    int fd;

    domain_path(path, "ring", domid);
    fd = real_open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
    if (fd >= 0) {
        if (fstat(fd, &status) == 0 &&
            (status.st_size >= PAGE || ftruncate(fd, PAGE) == 0))
            page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
    if (page != MAP_FAILED)
        return page;
    errno = EINVAL;
    return NULL;
}
