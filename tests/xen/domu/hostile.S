/* How Xen starts hostile.c, and how that calls Xen: public/elfnote.h, public/xen.h. */
#define NOTE(type, data...) .long 4, 2f - 1f, type; .asciz "Xen"; 1: data; 2: .align 4

        .section .note.Xen, "a", @note
        NOTE(6, .asciz "hostile")               /* guest's name */
        NOTE(5, .asciz "xen-3.0")               /* interface */
        NOTE(8, .asciz "generic")               /* loader */
        NOTE(9, .asciz "yes")                   /* PAE */
        NOTE(3, .quad 0)                        /* virtual address of the first page */
        NOTE(1, .quad _start)
        NOTE(2, .quad hypercall_page)

        .text
        .globl _start
_start: mov     %rsi, %rdi                      /* start_info */
        call    start

        .globl hypercall2
hypercall2:                                     /* (number, first, second) */
        mov     %rdi, %rax
        shl     $5, %rax
        mov     %rsi, %rdi
        mov     %rdx, %rsi
        add     $hypercall_page, %rax
        jmp     *%rax

        .balign 4096
hypercall_page:
        .skip   4096

        .section .note.GNU-stack, "", @progbits
